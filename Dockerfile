# One image for every service; docs/decisions/0012-one-dockerfile.md says why, docs/images.md how.
#   docker build --build-arg SERVICE=informer -t angelowl/informer .
ARG GO=golang:1.26.8-bookworm@sha256:a688600ca24f8a4d3ca77f95b0dd40704a9fc787c826660eb7ba0b641b8b175d
ARG BASE=gcr.io/distroless/static-debian12:nonroot@sha256:afa5c872c891853ca7fcf1f12c3edb23f7eeef36189728842dd51042ff57f7ab

FROM --platform=$BUILDPLATFORM ${GO} AS build
ARG SERVICE
# The module's own versions count, not those of the workspace; and no other toolchain is fetched.
ENV GOWORK=off GOTOOLCHAIN=local GOFLAGS=-mod=readonly CGO_ENABLED=0
WORKDIR /src
# The module files first: while they stay the same, what they name is not fetched again.
COPY loyalty/go.mod loyalty/go.sum loyalty/
COPY ${SERVICE}/go.mod ${SERVICE}/go.sum ${SERVICE}/
RUN go -C "${SERVICE}" mod download
COPY loyalty/ loyalty/
COPY ${SERVICE}/ ${SERVICE}/
ARG TARGETOS TARGETARCH
RUN GOOS="${TARGETOS}" GOARCH="${TARGETARCH}" go -C "${SERVICE}" build -trimpath -ldflags='-s -w' -o /out/service "./cmd/${SERVICE}"

# Certificates of authorities are in the base, time zones in the program (loyalty/config); there is no shell.
FROM ${BASE}
ARG SERVICE
ARG REVISION=unknown
ARG VERSION=unknown
LABEL org.opencontainers.image.title="angelowl-${SERVICE}" \
      org.opencontainers.image.description="AngelOwl: the service ${SERVICE}" \
      org.opencontainers.image.source="https://github.com/angelowl-loyalties/app" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.version="${VERSION}"
COPY --from=build /out/service /service
# A number, so that Kubernetes can tell that it is not root. Nothing is written to the root file system.
USER 65532:65532
EXPOSE 8080
ENTRYPOINT ["/service"]
