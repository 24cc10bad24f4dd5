# The same build as on a laptop, then nothing but the binary.
ARG BUILD_IMAGE=rust:1.95-bookworm
FROM ${BUILD_IMAGE} AS build
WORKDIR /src
COPY . .
# The target's triple, and so the directory, is the builder's own.
RUN cargo build --release --locked --package injector \
 && cp target/*/release/injector /injector

FROM scratch
COPY --from=build /injector /injector
USER 65532:65532
ENTRYPOINT ["/injector"]
