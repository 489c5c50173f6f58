#!/usr/bin/env bash
# Runs the tests: scripts/test.sh all|unit|sanitize|fuzz|alerts|system|ui|docs|newest
#
# Each step writes to its own log in build/test-logs and is shown only when it fails. Every step comes
# down to counts; the last line sums them up: "N passed, N failed", with ", N skipped" when some were.
source "$(dirname "$0")/common.sh"

readonly LOGS=$REPOSITORY/build/test-logs
# What system tests need built: the program, and libraries that stand in for those of hardware.
readonly SYSTEM_PARTS=(cim-ops tests/system/kv_tool tests/fake/libfakenvml.so tests/fake/libfakenvml_old.so)
readonly FUZZ_SECONDS=${FUZZ_SECONDS:-10} # each target
total_passed=0 total_failed=0 total_skipped=0

# --- one step --------------------------------------------------------------------------------------

# step NAME LIMIT_S COUNTER COMMAND...: runs COMMAND with a time limit, its output to NAME's log, and
# lets COUNTER read "passed failed skipped" from that log.
step() {
    local name=$1 limit=$2 counter=$3 log passed failed skipped code=0 began=$SECONDS
    shift 3
    log=$(tr 'A-Z' 'a-z' <<<"$name" | tr -cs 'a-z0-9\n' '-')
    log=$LOGS/${log%-}.log
    timeout -k 15 "$limit" "$@" >"$log" 2>&1 </dev/null || code=$?
    read -r passed failed skipped < <("$counter" "$log")
    # Ended badly without a failed test to show for it: a crash, a build that broke, the time limit.
    ((code == 0 || failed > 0)) || failed=1
    ((code != 0 || passed + failed + skipped > 0)) || failed=1
    report "$name" "$passed" "$failed" "$skipped" "$((SECONDS - began))"
    ((failed == 0)) || show_failure "$log" "$code" "$limit"
}

# Steps that mostly wait, side by side: STEP-FUNCTION... each as in a group, reported when all are done.
together() {
    local function at=0 pids=() totals p f s
    for function; do
        (
            total_passed=0 total_failed=0 total_skipped=0
            "$function" >"$LOGS/$function.report"
            say "$total_passed $total_failed $total_skipped" >"$LOGS/$function.totals"
        ) &
        pids+=($!)
    done
    for function; do
        wait "${pids[at++]}" || true
        cat "$LOGS/$function.report"
        totals=$(cat "$LOGS/$function.totals" 2>/dev/null || say "0 1 0")
        read -r p f s <<<"$totals"
        total_passed=$((total_passed + p))
        total_failed=$((total_failed + f))
        total_skipped=$((total_skipped + s))
        rm -f "$LOGS/$function".{report,totals}
    done
}

report() {
    local verdict=ok
    (($3 == 0)) || verdict=FAILED
    printf '%-7s %-34s %5d passed %3d failed %3d skipped %5d s\n' "$verdict" "$1" "$2" "$3" "$4" "$5"
    total_passed=$((total_passed + $2))
    total_failed=$((total_failed + $3))
    total_skipped=$((total_skipped + $4))
}

show_failure() {
    say "------- ${1#"$REPOSITORY"/} (exit code $2$( (($2 != 124 && $2 != 137)) || echo ", limit $3 s"))"
    # The failures first, then the end of the log.
    if (($(wc -l <"$1") > 120)); then
        grep -nE -B6 -A25 '^ *not ok |ERROR: |WARNING: ThreadSanitizer|runtime error:' "$1" | head -200 || true
        say "..."
    fi
    tail -60 "$1"
    say "-------"
}

# Counters: each prints "passed failed skipped".
count_tap() {
    awk '/^ok /      { if (/# SKIP/) skipped++; else passed++ }
         /^not ok /  { failed++ }
         END         { print passed + 0, failed + 0, skipped + 0 }' "$1"
}

# Of node's own closing lines; one set per run.
count_node() {
    awk '/^# pass /                { passed += $3 }
         /^# (fail|cancelled) /    { failed += $3 }
         /^# (skipped|todo) /      { skipped += $3 }
         END                       { print passed + 0, failed + 0, skipped + 0 }' "$1"
}

# Of the plain closing line that our own scripts print.
count_plain() {
    grep -oE '[0-9]+ passed, [0-9]+ failed(, [0-9]+ skipped)?' "$1" | tail -1 |
        awk '{ print $1, $3, $5 + 0; seen = 1 } END { if (!seen) print 0, 0, 0 }'
}

# --- what a step runs (in a shell of its own, by `inner`) ------------------------------------------

# The cmocka executables of one build folder, one after the other.
run_unit() {
    local folder=$1 program code failed=0
    for program in "$folder"/tests/unit/test_*; do
        [[ -f $program && -x $program ]] || continue
        code=0
        timeout -k 5 180 env CMOCKA_MESSAGE_OUTPUT=tap "$program" || code=$?
        ((code == 0)) && continue
        failed=1
        # cmocka's own exit code is the number of failed tests; anything louder is a crash.
        ((code < 86)) || say "not ok - $program ended with exit code $code"
    done
    return "$failed"
}

run_fuzz() {
    local folder=$1 targets failed
    mapfile -t targets < <(find "$folder/tests/fuzz" -maxdepth 1 -type f -name 'fuzz_*' -executable)
    ((${#targets[@]})) || { say "ok - none # SKIP there is no fuzz target" && return 0; }
    failed=$(mktemp)
    printf '%s\0' "${targets[@]}" | FAILED=$failed xargs -0 -n 1 -P "$(nproc)" "$0" --inner fuzz-one
    [[ ! -s $failed ]] || { rm -f "$failed" && return 1; }
    rm -f "$failed"
}

# New inputs go to a scratch folder; only a crashing one is kept, under build/test-logs. It starts from
# what was written by hand (corpus) and what longer runs have found.
fuzz_one() {
    local name=${1##*/} scratch log code=0 found
    found=tests/fuzz/found/${name#fuzz_}.tar.gz
    scratch=$(mktemp -d)
    log=$LOGS/fuzz/$name.log
    mkdir -p "$LOGS/fuzz"
    [[ ! -f $found ]] || tar -xzf "$found" -C "$scratch"
    [[ ! -d tests/fuzz/corpus/${name#fuzz_} ]] || cp -r "tests/fuzz/corpus/${name#fuzz_}/." "$scratch"
    UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1 timeout -k 5 $((FUZZ_SECONDS + 120)) "$1" \
        -max_total_time="$FUZZ_SECONDS" -timeout=10 -rss_limit_mb=2048 \
        -artifact_prefix="$LOGS/fuzz/$name-" -print_final_stats=1 "$scratch" \
        >"$log" 2>&1 || code=$?
    rm -rf "$scratch"
    if ((code == 0)); then
        say "ok - $name, $FUZZ_SECONDS s, $(sed -n 's/^stat::number_of_executed_units: *//p' "$log") runs"
    else
        say "$name" >>"$FAILED"
        tail -n 60 "$log"
        say "not ok - $name; the input that broke it is named above"
    fi
}

# The system tests' files; "a b" in $TESTS stands for a.test.mjs and b.test.mjs.
system_files() {
    local name
    if [[ ${TESTS:-} ]]; then
        for name in $TESTS; do say "tests/system/$name.test.mjs"; done
    else
        ls tests/system/*.test.mjs
    fi
}

run_node() {
    node --test --test-reporter=tap "$@"
}

# Sanitizers write their reports to files of their own, so that a report counts whatever the test made
# of the exit code. COMMAND... must leave none.
run_sanitized() {
    local reports=$LOGS/sanitizers/$1 options code=0 file
    shift
    mkdir -p "$LOGS/sanitizers"
    rm -f "$reports".*
    options="log_path=$reports:exitcode=99:print_stacktrace=1:halt_on_error=1"
    ASAN_OPTIONS="$options:detect_stack_use_after_return=1:strict_string_checks=1" \
        UBSAN_OPTIONS="$options" TSAN_OPTIONS="$options:second_deadlock_stack=1" \
        LSAN_OPTIONS="suppressions=$REPOSITORY/tests/lsan.supp:print_suppressions=0" \
        "$@" || code=$?
    for file in "$reports".*; do
        [[ -s $file ]] || continue
        say "not ok - sanitizer report ${file#"$REPOSITORY"/}"
        say "# fail 1"
        cat "$file"
        code=1
    done
    return "$code"
}

# The rules that we ship: no warnings, and what their tests expect.
check_rules() {
    if build/cim-ops rules check --strict rules; then
        say "ok - rules check --strict"
    else
        say "not ok - rules check --strict"
        return 1
    fi
    build/cim-ops rules test tests/rules/*.yaml
}

inner() {
    local what=$1
    shift
    case $what in
    unit) scripts/build.sh build && run_unit build ;;
    unit-asan) scripts/build.sh build-asan && run_sanitized unit-asan run_unit build-asan ;;
    unit-tsan) scripts/build.sh build-tsan && run_sanitized unit-tsan run_unit build-tsan ;;
    fuzz) scripts/build.sh build-asan && run_fuzz build-asan ;;
    fuzz-one) fuzz_one "$1" ;;
    alerts) bash tests/alerts/run.sh ;;
    rules) scripts/build.sh build cim-ops && check_rules ;;
    system) scripts/build.sh build "${SYSTEM_PARTS[@]}" && run_node $(system_files) ;;
    system-asan)
        export CIM_OPS=$REPOSITORY/build-asan/cim-ops CIM_OPS_SLOW=4 CIM_OPS_SANITIZED=1
        scripts/build.sh build-asan "${SYSTEM_PARTS[@]}" && run_sanitized system-asan run_node $(system_files)
        ;;
    system-tsan)
        export CIM_OPS=$REPOSITORY/build-tsan/cim-ops CIM_OPS_SLOW=6 CIM_OPS_SANITIZED=1
        scripts/build.sh build-tsan "${SYSTEM_PARTS[@]}" && run_sanitized system-tsan run_node $(system_files)
        ;;
    newest)
        export NATS_SERVER=$REPOSITORY/.deps/bin/nats-server PATH="$REPOSITORY/.deps/bin:$PATH"
        scripts/build.sh build "${SYSTEM_PARTS[@]}" && run_node $(system_files)
        ;;
    ui-unit) scripts/ui.sh --check ;;
    ui)
        # A browser and a whole stack each: one file after the other.
        scripts/build.sh build "${SYSTEM_PARTS[@]}" && run_node --test-concurrency=1 tests/ui/*.test.mjs
        ;;
    docs) scripts/build.sh build cim-ops && run_node tests/docs/*.test.mjs ;;
    esac
}

# --- the groups ------------------------------------------------------------------------------------

group_unit() { step "unit (gcc)" 240 count_tap "$0" --inner unit; }
group_sanitize() {
    step "unit (clang, ASan + UBSan)" 420 count_tap "$0" --inner unit-asan
    step "unit (clang, TSan)" 420 count_tap "$0" --inner unit-tsan
    together system_asan system_tsan
}
system_asan() { step "system (ASan + UBSan)" 2400 count_node "$0" --inner system-asan; }
system_tsan() {
    TESTS=${TESTS:-$(threaded_tests)} step "system (TSan)" 2400 count_node "$0" --inner system-tsan
}
group_fuzz() { step "fuzz" 600 count_tap "$0" --inner fuzz; }
group_rules() { step "rules" 120 count_tap "$0" --inner rules; }
group_alerts() { step "alerts" 180 count_plain "$0" --inner alerts; }
group_system() { step "system" 2000 count_node "$0" --inner system; }
group_ui() {
    step "viewer: types and unit tests" 180 count_node "$0" --inner ui-unit
    step "viewer: in a browser" 1200 count_node "$0" --inner ui
}
group_docs() { step "documents" 180 count_node "$0" --inner docs; }
group_newest() { step "system (newest nats-server)" 2000 count_node "$0" --inner newest; }
group_all() {
    group_unit
    group_rules
    group_alerts
    group_system
    group_ui
    group_docs
    group_sanitize
    group_fuzz
}

# What has threads to race: the monitor's reading, folding and serving, the simulator's publishing.
threaded_tests() {
    ls tests/system/{monitor,pipeline,simulate,gpu,nats_pages,web}*.test.mjs 2>/dev/null |
        sed 's#.*/##; s#\.test\.mjs$##' | paste -sd' '
}

main() {
    if [[ ${1:-} == --inner ]]; then
        inner "${@:2}"
        return
    fi
    [[ $(type -t "group_${1:-}") == function ]] ||
        die "which tests? all unit sanitize fuzz rules alerts system ui docs newest"
    mkdir -p "$LOGS"
    local began=$SECONDS
    "group_$1"
    say "logs: build/test-logs, $((SECONDS - began)) s in all"
    if ((total_skipped)); then
        say "$total_passed passed, $total_failed failed, $total_skipped skipped"
    else
        say "$total_passed passed, $total_failed failed"
    fi
    ((total_failed == 0 && total_passed > 0))
}

main "$@"
