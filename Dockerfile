# The same build as on a laptop, then nothing but the binary.
ARG BUILD_IMAGE=rust:1.95-bookworm
FROM ${BUILD_IMAGE} AS build
WORKDIR /injector
COPY . .
# The target's triple, and so the directory, is the builder's own.
RUN cargo build --release --locked --package injector \
 && cp target/*/release/injector /usr/local/bin/injector

FROM scratch
COPY --from=build /usr/local/bin/injector /injector
USER 65532:65532
ENTRYPOINT ["/injector"]
