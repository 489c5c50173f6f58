#!/usr/bin/env bash
# Checks the alert rules, their tests, their completeness and their routes, with the real promtool and
# amtool. The last line says "N passed, N failed"; exit code 1 when something failed.
set -uo pipefail
cd "$(dirname "$0")/../.."

readonly DOC=doc/operations
readonly ROUTES="$DOC/alertmanager.yml"
passed=0 failed=0
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# check WHAT COMMAND...: shows what the command said only when it fails.
check() {
    local what=$1 output
    shift
    if output=$(timeout 120 "$@" 2>&1); then
        passed=$((passed + 1))
        printf 'ok - %s\n' "$what"
    else
        failed=$((failed + 1))
        printf 'not ok - %s\n%s\n' "$what" "${output:0:6000}"
    fi
}

# The rule tests take seconds each: all at once, then collect.
start_rule_tests() {
    local file
    for file in tests/alerts/*.test.yaml; do
        {
            timeout 170 promtool test rules "$file" >"$work/${file##*/}.out" 2>&1
            echo $? >"$work/${file##*/}.code"
        } &
    done
}

collect_rule_tests() {
    local file name
    wait
    for file in tests/alerts/*.test.yaml; do
        name=${file##*/}
        check "promtool test rules $name" bash -c "cat $work/$name.out; exit \$(cat $work/$name.code)"
    done
}

# route CONFIG RECEIVERS LABEL=VALUE...: the receivers an alert with these labels goes to.
route() {
    local config=$1 receivers=$2
    shift 2
    check "${config##*/}: $* goes to $receivers" \
        amtool config routes test --config.file "$config" --verify.receivers="$receivers" "$@"
}

# The lines of check.mjs count as checks of their own.
check_completeness() {
    local output
    if ! output=$(timeout 60 node tests/alerts/check.mjs 2>&1) && ! grep -q '^not ok - ' <<<"$output"; then
        output+=$'\nnot ok - tests/alerts/check.mjs ended early'
    fi
    printf '%s\n' "$output"
    passed=$((passed + $(grep -c '^ok - ' <<<"$output")))
    failed=$((failed + $(grep -c '^not ok - ' <<<"$output")))
}

start_rule_tests
check "promtool check rules alerts.yaml" promtool check rules --lint=all --lint-fatal "$DOC/alerts.yaml"
for config in "$ROUTES" "$DOC/alertmanager-local.yml"; do
    check "amtool check-config ${config##*/}" amtool check-config "$config"
done
route "$ROUTES" events,oncall-primary severity=critical
route "$ROUTES" events,oncall-secondary severity=warning
route "$ROUTES" events,team-slack severity=info
route "$ROUTES" events,oncall-secondary severity=unheard-of
route "$ROUTES" events,oncall-secondary alertname=NoSeverityAtAll
route "$ROUTES" events,team-slack,oncall-primary alertname=AlertDeliveryFailing severity=critical
for severity in critical warning info; do
    route "$DOC/alertmanager-local.yml" events "severity=$severity"
done
check_completeness
collect_rule_tests
printf '%d passed, %d failed\n' "$passed" "$failed"
((failed == 0))
