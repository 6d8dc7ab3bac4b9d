/* A disk that fails on demand: loaded into scimd before the C library (LD_PRELOAD).

   While the file named by FAULTY_DISK exists, what changes or syncs a file of the database fails with the errno that
   stands in it; behind the number, an s limits that to syncing. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

static int fault(int fd, int is_sync) {
    char link[64], path[4096], kind = ' ';
    int number = 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length <= 0) return 0;
    path[length] = 0;
    /* The shared memory of SQLite is no disk. */
    if (!strstr(path, "scimd.db") || strstr(path, "-shm")) return 0;
    FILE *wanted = fopen(getenv("FAULTY_DISK"), "r");
    if (!wanted) return 0;
    int read = fscanf(wanted, "%d%c", &number, &kind);
    fclose(wanted);
    if (read < 1 || (kind == 's' && !is_sync)) return 0;
    return number;
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))
#define FAIL(fd, is_sync)                 \
    do {                                  \
        int number = fault(fd, is_sync);  \
        if (number) {                     \
            errno = number;               \
            return -1;                    \
        }                                 \
    } while (0)

ssize_t pwrite(int fd, const void *data, size_t count, off_t offset) {
    FAIL(fd, 0);
    return REAL(pwrite)(fd, data, count, offset);
}

ssize_t pwrite64(int fd, const void *data, size_t count, off64_t offset) {
    FAIL(fd, 0);
    return REAL(pwrite64)(fd, data, count, offset);
}

int ftruncate64(int fd, off64_t length) {
    FAIL(fd, 0);
    return REAL(ftruncate64)(fd, length);
}

int fdatasync(int fd) {
    FAIL(fd, 1);
    return REAL(fdatasync)(fd);
}

int fsync(int fd) {
    FAIL(fd, 1);
    return REAL(fsync)(fd);
}
