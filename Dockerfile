# syntax=docker/dockerfile:1
# scimd in a small image without a shell, with TLS to PostgreSQL and traces.
#   docker build -t scimd .
#   docker run --read-only --cap-drop ALL --security-opt no-new-privileges --stop-timeout 65 \
#       -p 127.0.0.1:8080:8080 -p 127.0.0.1:9464:9464 -v scimd:/data --name scimd scimd
#   docker exec scimd scimd key create --name okta
#   docker cp scimd:/usr/share/doc/scimd/scimd.cdx.json .      # what it is made of

FROM rust:1.95-bookworm AS build
WORKDIR /build
COPY . .
# The caches outlive a build, so that a change of our own code compiles our own code only. Nothing in a
# cache is part of the image: the program is copied out. /out/data becomes the data directory.
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/build/target \
    deploy/release /out \
    && install -d -m 0700 /out/data

# glibc, libgcc and the certificate authorities that `sslmode=verify-full&sslrootcert=system` and
# outgoing HTTPS trust.
FROM gcr.io/distroless/cc-debian12:nonroot
ARG VERSION=dev
ARG REVISION=unknown
LABEL org.opencontainers.image.title="scimd" \
      org.opencontainers.image.description="SCIM 2.0 server for inbound provisioning" \
      org.opencontainers.image.licenses="MIT OR Apache-2.0" \
      org.opencontainers.image.source="https://github.com/scimd/scimd" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
COPY --from=build /out/scimd /usr/local/bin/scimd
COPY --from=build /out/scimd.cdx.json /usr/share/doc/scimd/scimd.cdx.json
COPY --from=build --chown=65532:65532 /out/data /data
# OpenSSL is linked statically and would look in a directory of its own. Metrics name tenants: not on the
# port that a proxy forwards to. There is one place to write to, for temporary files too. Huge pages, which some kernels
# give unasked, would double the memory.
ENV SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt \
    SCIMD_LISTEN=0.0.0.0:8080 \
    SCIMD_METRICS_LISTEN=0.0.0.0:9464 \
    SCIMD_TRUSTED_PROXIES=private \
    SCIMD_DATA_DIR=/data \
    TMPDIR=/data \
    MIMALLOC_ALLOW_THP=0
# A number, so that an orchestrator can see that it is not root.
USER 65532:65532
VOLUME /data
EXPOSE 8080 9464
HEALTHCHECK --interval=10s --timeout=3s --start-period=30s --retries=3 CMD ["scimd", "healthcheck"]
ENTRYPOINT ["scimd"]
CMD ["serve"]
