#!/usr/bin/env bash
# Builds a current nats-server release into .deps/bin, beside Debian's 2.9 (which stays the default).
#
# Needs Go and its module proxy. Where either is missing it says so and ends with 0: testing against the
# newest server is an extra. scripts/newest_nats.sh [VERSION], e.g. v2.12.1; default: latest.
source "$(dirname "$0")/common.sh"

main() {
    local version=${1:-latest} go
    go=$(command -v go || true)
    if [[ ! $go ]]; then
        say "newest-nats: skipped, there is no Go here (apt-get install golang, or go.dev)"
        return 0
    fi
    mkdir -p .deps
    say "newest-nats: go install github.com/nats-io/nats-server/v2@$version"
    if ! GOBIN=$REPOSITORY/.deps/bin GOFLAGS= timeout 900 "$go" install \
        "github.com/nats-io/nats-server/v2@$version" 2>.deps/newest_nats.log; then
        tail -5 .deps/newest_nats.log
        say "newest-nats: skipped, the server could not be built (.deps/newest_nats.log has more)"
        return 0
    fi
    .deps/bin/nats-server --version
}

main "$@"
