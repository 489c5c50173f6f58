#!/usr/bin/env bash
# What `make bench` runs: every benchmark with its peers in one run. Tables on stdout, JSON in
# $BUILD/bench/*.json. $EVENTS and $ROUNDS make it longer or shorter; $REPLAY_MILLIONS (3) is how many million events
# the memory of a replay is measured with.
set -euo pipefail
cd "$(dirname "$0")/.."
build=${BUILD:-build}
cim_ops=${CIM_OPS:-$build/cim-ops}

ninja -C "$build" bench/endtoend bench/replay bench/engine bench/metrics >/dev/null
mkdir -p "$build/bench"
printf 'machine: %s, %s cores, %s, nats-server %s\n' \
    "$(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1)" "$(nproc)" \
    "$(. /etc/os-release && printf '%s' "$PRETTY_NAME")" \
    "$(nats-server --version | sed 's/.*: //')"
"$build/bench/endtoend" "$cim_ops" rules "${EVENTS:-1000000}" "${ROUNDS:-5}" "$build/bench/endtoend.json"
"$build/bench/replay" "$cim_ops" rules "${EVENTS:-1000000}" "${ROUNDS:-5}" "$build/bench/replay.json" \
    "${REPLAY_MILLIONS:-3}"
"$build/bench/engine" rules tests/corpus/cim-events.jsonl "${ENGINE_EVENTS:-100000}" "${ENGINE_ROUNDS:-11}" \
    "$build/bench/engine.json"
[[ -d bench/node_modules ]] || (cd bench && npm ci --silent --no-audit --no-fund) ||
    printf 'bench/node_modules: npm ci failed; prom-client is left out\n'
"$build/bench/metrics" "${SERIES:-1000000}" "${METRICS_ROUNDS:-9}" "$build/bench/metrics.json" bench
ninja -C "$build" tests/fake/libfakenvml.so >/dev/null
node bench/observe.mjs "$cim_ops"
if command -v chromium >/dev/null && [[ -d tests/node_modules/playwright-core ]]; then
    node bench/viewer.mjs "$cim_ops"
else
    printf 'viewer: left out, as chromium or tests/node_modules is not there (make test installs both)\n'
fi
