# syntax=docker/dockerfile:1

# --- Build: the toolchain that Cargo.toml names, on the Debian that it will run on ---
FROM rust:1.95-slim-bookworm AS build
RUN apt-get update \
    && apt-get install --yes --no-install-recommends gcc g++ make cmake pkg-config \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY . .
# The caches stay between builds of the image; the program must leave the one it lies in.
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/src/target \
    cargo build --profile dist --locked --bin ringback \
    && cp target/dist/ringback /usr/local/bin/ringback

# --- Run: the program, certificates, one user without rights ---
FROM debian:bookworm-slim
RUN apt-get update \
    && apt-get install --yes --no-install-recommends ca-certificates \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --system --uid 10001 --home-dir /data --shell /usr/sbin/nologin ringback \
    && install --directory --owner=ringback --group=ringback --mode=0750 /data
COPY --from=build /usr/local/bin/ringback /usr/local/bin/ringback
COPY --from=build /src/LICENSE-MIT /src/LICENSE-APACHE /usr/share/doc/ringback/

USER ringback
# Cache, index and spool. A named volume keeps the cache over an update of the image.
VOLUME /data
WORKDIR /data
# 8080 media and API, 9090 metrics and health.
EXPOSE 8080 9090
# Ready means: started, not draining, data directory usable.
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s --retries=3 CMD ["ringback", "health"]
# SIGTERM drains: give it `docker stop --time` above the configured drain deadline.
STOPSIGNAL SIGTERM

ENTRYPOINT ["ringback"]
# Beyond loopback only callers with credentials are answered: /data/first-credentials has the first. Where the container's network is border
# enough, say so:  docker run -e RINGBACK_HTTP__ANONYMOUS=all … ringback serve --data-dir /data --listen 0.0.0.0:8080 --insecure-open
CMD ["serve", "--data-dir", "/data", "--listen", "0.0.0.0:8080", "--ops-listen", "0.0.0.0:9090"]
