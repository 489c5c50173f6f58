#!/usr/bin/env bash
# Builds one of our build folders: scripts/build.sh build|build-release|build-asan|build-tsan [TARGET]...
source "$(dirname "$0")/common.sh"

configure() {
    case $1 in
    build) CC=gcc meson setup "$1" ;;
    build-release) CC=gcc meson setup "$1" --buildtype=release -Db_lto=true ;;
    build-asan) CC=clang meson setup "$1" -Db_lundef=false -Db_sanitize=address,undefined ;;
    build-tsan) CC=clang meson setup "$1" -Db_lundef=false -Db_sanitize=thread ;;
    *) die "unknown build folder '$1'" ;;
    esac
}

# What meson looked at when it configured and ninja does not watch: which test files there are, and
# whether the libraries for tests are installed.
surroundings() {
    ls tests/unit tests/fuzz bench nix/dashboards doc/operations/runbooks
    pkg-config --modversion cmocka 2>&1 || true
}

main() {
    local folder=${1:-build} log stamp before
    shift || true
    mkdir -p "$folder"
    exec 9>"$folder/.lock" && flock 9 # one build of a folder at a time
    stamp=$folder/.surroundings
    scripts/ui.sh
    log=$(mktemp)
    trap "rm -f '$log'" EXIT
    if [[ ! -f $folder/build.ninja ]]; then
        configure "$folder" >"$log" 2>&1 || { cat "$log" && die "meson setup $folder failed"; }
    elif [[ $(cat "$stamp" 2>/dev/null) != "$(surroundings)" ]]; then
        meson setup --reconfigure "$folder" >"$log" 2>&1 ||
            { cat "$log" && die "meson setup --reconfigure $folder failed"; }
    fi
    surroundings >"$stamp"
    before=$(stat -c %Y "$folder/cim-ops" 2>/dev/null || true)
    # Quiet when all is well; the compiler's words when not.
    ninja -C "$folder" --quiet "$@" >"$log" 2>&1 || { cat "$log" && die "ninja -C $folder failed"; }
    [[ $before == "$(stat -c %Y "$folder/cim-ops")" ]] || say "built $folder/cim-ops"
}

main "$@"
