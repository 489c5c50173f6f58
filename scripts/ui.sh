#!/usr/bin/env bash
# Builds the viewer's pages into build/ui when something in ui/ has changed; its packages come from npm.
# --check: its types and its unit tests instead.
source "$(dirname "$0")/common.sh"

readonly OUT=build/ui

wanted() {
    find ui/src ui/*.json ui/*.mjs ui/index.html ui/icon.svg -type f -print0 | sort -z | xargs -0 sha256sum
}

install_packages() {
    local lock
    lock=$(sha256sum <ui/package-lock.json)
    [[ $(cat ui/node_modules/.lock-installed 2>/dev/null) == "$lock" ]] && return 0
    say "ui: npm ci"
    (cd ui && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error) ||
        die "npm ci in ui/ failed (see above): is the npm registry reachable?"
    say "$lock" >ui/node_modules/.lock-installed
}

main() {
    mkdir -p "$OUT"
    if [[ ${1:-} == --check ]]; then
        install_packages
        cd ui && npm run --silent check && node build.mjs --tests
        node --test --test-reporter=tap ../build/ui/tests
        return
    fi
    exec 8>"$OUT/.lock" && flock 8
    [[ -f $OUT/app.js && $(cat "$OUT/.built-from" 2>/dev/null) == "$(wanted)" ]] && return 0
    install_packages
    (cd ui && node build.mjs) || die "the viewer's pages did not build (see above)"
    wanted >"$OUT/.built-from"
    say "built $OUT, $(gzip -c "$OUT/app.js" "$OUT/app.css" | wc -c | awk '{ printf "%.0f kB gzip", $1 / 1000 }')"
}

main "$@"
