/* A disk that fails on demand: loaded into a program before the C library (LD_PRELOAD).

   While the file named by FAULTY_DISK exists, what changes a file whose path holds FAULTY_FILES, where $ stands for its end,
   fails with the errno that stands in it. With s behind the number only syncs fail, with e only what makes the file
   longer. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

enum call { SYNC, WRITE, EXTEND };

static int fault(int fd, enum call call) {
    char link[64], path[4096], kind = ' ';
    int number = 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 2);
    if (length <= 0) return 0;
    path[length] = '$';
    path[length + 1] = 0;
    /* The shared memory of SQLite is no disk. */
    if (!strstr(path, getenv("FAULTY_FILES")) || strstr(path, "-shm")) return 0;
    FILE *wanted = fopen(getenv("FAULTY_DISK"), "r");
    if (!wanted) return 0;
    int read = fscanf(wanted, "%d%c", &number, &kind);
    fclose(wanted);
    if (read < 1 || (kind == 's') != (call == SYNC) || (kind == 'e' && call != EXTEND)) return 0;
    return number;
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))
#define FAIL(fd, call)                \
    do {                              \
        int number = fault(fd, call); \
        if (number) {                 \
            errno = number;           \
            return -1;                \
        }                             \
    } while (0)

static enum call write_at(int fd, off64_t offset) {
    struct stat64 file;
    return fstat64(fd, &file) == 0 && offset >= file.st_size ? EXTEND : WRITE;
}

ssize_t pwrite(int fd, const void *data, size_t count, off_t offset) {
    FAIL(fd, write_at(fd, offset));
    return REAL(pwrite)(fd, data, count, offset);
}

ssize_t pwrite64(int fd, const void *data, size_t count, off64_t offset) {
    FAIL(fd, write_at(fd, offset));
    return REAL(pwrite64)(fd, data, count, offset);
}

ssize_t pwritev64(int fd, const struct iovec *parts, int count, off64_t offset) {
    FAIL(fd, write_at(fd, offset));
    return REAL(pwritev64)(fd, parts, count, offset);
}

ssize_t pwritev(int fd, const struct iovec *parts, int count, off_t offset) {
    FAIL(fd, write_at(fd, offset));
    return REAL(pwritev)(fd, parts, count, offset);
}

/* These two give the errno back instead of setting it. */
int posix_fallocate64(int fd, off64_t offset, off64_t length) {
    int number = fault(fd, EXTEND);
    return number ? number : REAL(posix_fallocate64)(fd, offset, length);
}

int posix_fallocate(int fd, off_t offset, off_t length) {
    int number = fault(fd, EXTEND);
    return number ? number : REAL(posix_fallocate)(fd, offset, length);
}

int ftruncate64(int fd, off64_t length) {
    FAIL(fd, WRITE);
    return REAL(ftruncate64)(fd, length);
}

int fdatasync(int fd) {
    FAIL(fd, SYNC);
    return REAL(fdatasync)(fd);
}

int fsync(int fd) {
    FAIL(fd, SYNC);
    return REAL(fsync)(fd);
}
