# syntax=docker/dockerfile:1
# The image as image/build makes it, for those who have BuildKit:
#   docker buildx build --platform linux/amd64,linux/arm64 --sbom=true --build-arg REVISION=$(git rev-parse HEAD) -t REGISTRY/weir:TAG --push .
# The program is cross-compiled on the machine that builds; nothing is emulated. Pin the base by digest where your policy
# asks for it: --build-arg RUST=rust:1.95.0-slim-bookworm@sha256:...
ARG RUST=rust:1.95.0-slim-bookworm

FROM --platform=$BUILDPLATFORM ${RUST} AS build
ARG TARGETARCH
ARG BUILDARCH
ARG VERSION=0.1.0
ARG REVISION=unknown
RUN apt-get update \
 && if [ "$TARGETARCH" = "$BUILDARCH" ]; then cross=""; \
    elif [ "$TARGETARCH" = arm64 ]; then cross="gcc-aarch64-linux-gnu libc6-dev-arm64-cross"; \
    else cross="gcc-x86-64-linux-gnu libc6-dev-amd64-cross"; fi \
 && apt-get install -y --no-install-recommends binutils gcc libc6-dev python3 $cross \
 && rm -rf /var/lib/apt/lists/* \
 && case "$TARGETARCH" in amd64) machine=x86_64 ;; arm64) machine=aarch64 ;; *) exit 1 ;; esac \
 && rustup target add $machine-unknown-linux-gnu
WORKDIR /src
COPY . .
RUN --mount=type=cache,target=/usr/local/cargo/registry --mount=type=cache,target=/src/target,id=weir-$TARGETARCH \
    image/rootfs "$TARGETARCH" /rootfs --version "$VERSION" --revision "$REVISION"

FROM scratch
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="weir" \
      org.opencontainers.image.description="Self-hosted API-security filtering node" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="$VERSION" \
      org.opencontainers.image.revision="$REVISION"
COPY --from=build /rootfs /
ENV PATH=/usr/bin WEIR_DATA_DIR=/var/lib/weir
WORKDIR /var/lib/weir
USER 65532:65532
EXPOSE 3313 5000 8088 9090
ENTRYPOINT ["/usr/bin/weir"]
