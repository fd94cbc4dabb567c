# kneepoint in a container: `docker build -t kneepoint .`, then
#   docker run --rm --network host --pid host -v "$PWD:/work" kneepoint run plan.toml
# `--network host` and `--pid host` let it see the sockets and processes of a target on this host.

FROM rust:1.95-slim-bookworm AS build
# The C library of zstd is the only part that is not Rust.
RUN apt-get update && apt-get install -y --no-install-recommends gcc libc6-dev && rm -rf /var/lib/apt/lists/*
WORKDIR /src
# Dependencies change more rarely than the source: built first, they stay in the cache.
COPY Cargo.toml Cargo.lock ./
RUN mkdir -p src benches/load && echo 'fn main() {}' | tee src/main.rs benches/load/main.rs benches/endurance.rs \
    && touch src/lib.rs && cargo build --locked --profile dist --bin kneepoint \
    && rm -r src benches
COPY . .
RUN touch src/lib.rs src/main.rs && cargo build --locked --profile dist --bin kneepoint

FROM debian:bookworm-slim
# Root certificates, to load targets over TLS.
RUN apt-get update && apt-get install -y --no-install-recommends ca-certificates && rm -rf /var/lib/apt/lists/*
COPY --from=build /src/target/dist/kneepoint /usr/local/bin/kneepoint
WORKDIR /work
ENTRYPOINT ["kneepoint"]
CMD ["--help"]
