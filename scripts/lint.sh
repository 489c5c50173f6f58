#!/usr/bin/env bash
# Everything that reads the source without running it. The last line: "N passed, N failed".
source "$(dirname "$0")/common.sh"

passed=0 failed=0

# check NAME COMMAND...: quiet when it passes.
check() {
    local name=$1 log code=0
    shift
    log=$(mktemp)
    "$@" >"$log" 2>&1 || code=$?
    if ((code == 0)); then
        passed=$((passed + 1))
        say "ok      $name"
    else
        failed=$((failed + 1))
        say "FAILED  $name"
        head -200 "$log"
    fi
    rm -f "$log"
}

c_files() {
    git ls-files -co --exclude-standard -- 'src/*.[ch]' 'tests/*.[ch]' 'bench/*.[ch]'
}

format() {
    local file bad=0
    for file in $(c_files); do
        clang-format --dry-run -Werror "$file" 2>/dev/null && continue
        bad=1
        say "$file: clang-format -i changes it"
    done
    return "$bad"
}

# resourceLeak: it does not know the cleanup attribute (the sanitizers see real leaks); readdirCalled:
# readdir on a stream of one's own is safe, and readdir_r is deprecated.
cppcheck_all() {
    cppcheck --quiet --error-exitcode=1 --inline-suppr --std=c11 --language=c -j "$(nproc)" \
        --enable=warning,portability,performance --suppress=missingIncludeSystem \
        --suppress=unusedStructMember --suppress=resourceLeak --suppress=readdirCalled --library=posix \
        -D_GNU_SOURCE -D__GNUC__ -I src src
}

# The checks are in .clang-tidy.
tidy() {
    scripts/build.sh build &&
        git ls-files -co --exclude-standard -- 'src/*.c' |
        xargs -P "$(nproc)" -n 4 clang-tidy --quiet --warnings-as-errors='*' -p build 2>/dev/null
}

shell_scripts() {
    local file
    for file in scripts/*.sh .ci/run; do bash -n "$file" || return 1; done
}

main() {
    check "house rules" scripts/lint_house.sh
    check "format (clang-format)" format
    check "shell syntax" shell_scripts
    check "cppcheck" cppcheck_all
    check "clang-tidy" tidy
    say "$passed passed, $failed failed"
    ((failed == 0))
}

main "$@"
