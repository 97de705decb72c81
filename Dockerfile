# syntax=docker/dockerfile:1
# Atlas Collab as one image: the web client, built with Node, inside the server, built with Rust, on a base without a
# shell. `make docker-proof` replays these steps where there is no container engine.
#
#   docker build --tag atlas-collab .
#   docker run --read-only --publish 3000:3000 --volume atlas-data:/data atlas-collab

# --- the web client
FROM node:20-bookworm-slim AS web
WORKDIR /src/web-client
COPY web-client/package.json web-client/package-lock.json web-client/.npmrc ./
RUN npm ci --no-audit --no-fund
COPY web-client ./
RUN npm run build

# --- the server
FROM rust:1.95-bookworm AS server
WORKDIR /src
COPY Cargo.toml Cargo.lock build.rs ./
COPY crdt crdt
COPY loadtest loadtest
COPY migrations migrations
COPY src src
COPY --from=web /src/web-client/dist web-client/dist
# The cache is no part of the layer, so the binary leaves it in the same step.
RUN --mount=type=cache,target=/usr/local/cargo/registry --mount=type=cache,target=/src/target \
    cargo build --release --locked --bin atlas-collab && \
    cp target/release/atlas-collab atlas-collab
# What the volume starts as.
RUN mkdir -m 0700 data

# --- what runs: the binary, glibc, certificates; no shell, no package manager
FROM gcr.io/distroless/cc-debian12:nonroot AS runtime
ARG VERSION=0.1.0
ARG REVISION=unknown
ARG CREATED=unknown
LABEL org.opencontainers.image.title="Atlas Collab" \
      org.opencontainers.image.description="Many architects edit one design at the same time" \
      org.opencontainers.image.licenses="MIT" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.created="${CREATED}"
COPY --from=server /src/atlas-collab /usr/local/bin/atlas-collab
COPY --from=server --chown=1001:1001 /src/data /data
ENV ATLAS_LISTEN=0.0.0.0:3000 \
    ATLAS_DATA_DIR=/data \
    LOG_FORMAT=json
WORKDIR /data
USER 1001:1001
EXPOSE 3000
VOLUME /data
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=3s --start-period=40s --retries=3 \
    CMD ["/usr/local/bin/atlas-collab", "health"]
# No init beside it: the server answers SIGTERM and SIGINT itself, also as process 1, and has no children to wait for.
ENTRYPOINT ["/usr/local/bin/atlas-collab"]
CMD ["serve"]
