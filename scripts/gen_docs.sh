#!/usr/bin/env bash
# Refreshes the generated parts of the documents: scripts/gen_docs.sh [--check]
#
# What lies between `<!-- NAME:begin -->` and `<!-- NAME:end -->` is the output of NAME's command below.
# --check changes nothing and exits 1 when a part is stale.
source "$(dirname "$0")/common.sh"

readonly CIM_OPS=${CIM_OPS:-build/cim-ops}

# document | name of the part | command
generated() {
    say "doc/operations/monitoring-guide.md|metrics|$CIM_OPS rules list --output markdown --rules rules"
    say "doc/operations/events.md|event-types|$CIM_OPS observe --types"
}

replace_part() {
    local document=$1 name=$2 text=$3
    grep -qF "<!-- $name:begin -->" "$document" && grep -qF "<!-- $name:end -->" "$document" ||
        die "$document has no part '$name' (<!-- $name:begin --> ... <!-- $name:end -->)"
    awk -v name="$name" -v text="$text" '
        $0 == "<!-- " name ":end -->"   { inside = 0 }
        !inside                         { print }
        $0 == "<!-- " name ":begin -->" { inside = 1; while ((getline line < text) > 0) print line }
    ' "$document"
}

main() {
    local check=${1:-} document name command stale=0 work
    work=$(mktemp -d)
    trap "rm -rf '$work'" EXIT
    while IFS='|' read -r document name command; do
        $command >"$work/text" || die "$command failed"
        replace_part "$document" "$name" "$work/text" >"$work/document"
        cmp -s "$work/document" "$document" && continue
        if [[ $check == --check ]]; then
            stale=1
            warn "$document: part '$name' is stale; 'make docs' refreshes it:"
            diff -u "$document" "$work/document" >&2 || true
        else
            cp "$work/document" "$document"
            say "refreshed '$name' in $document"
        fi
    done < <(generated)
    return "$stale"
}

main "$@"
