#!/usr/bin/env bash
# The rules of the house that no stock tool checks. Prints each breach as file:line: what; exit 1 if any.
source "$(dirname "$0")/common.sh"

# Which rooms a room may include (design: the arrows only point up). A file may always include its own.
readonly ROOMS='
base:
config:  base
json:    base
schema:  base json
event:   base json
metrics: base
bus:     base event
fold:    base config json event metrics schema
read:    base json event metrics bus fold
monitor: base config json event metrics bus fold schema serve
serve:   base json metrics fold bus read
source:  base json event bus
stack:   base
act:     base json event metrics bus fold read stack
cmd:     base config json event metrics bus fold schema read monitor serve source stack act
main:    base cmd
'

readonly COLUMNS_MAX=100 COLUMNS_MAX_OTHER=120 FUNCTION_LINES_MAX=70 FILE_LINES_MAX=700

# Functions that may be longer: byte parsers and tables, one per line as file:function, with the reason.
readonly LONG_FUNCTIONS='
'

# Unbounded copies, shells, unchecked numbers, hidden state. What to use instead: base/buf.h, base/file.h.
readonly BANNED='strcpy|strcat|stpcpy|sprintf|vsprintf|gets|system|popen|atoi|atol|atof|strtok|alloca|tmpnam|mktemp'

breaches=$(mktemp)
trap 'rm -f "$breaches"' EXIT
breach() { say "$*" >>"$breaches"; }

files() { git ls-files -co --exclude-standard -- "$@" | while read -r f; do [[ ! -f $f ]] || say "$f"; done; }

check_rooms() {
    files 'src/*.c' 'src/*.h' | xargs awk -v rooms="$ROOMS" '
        BEGIN {
            count = split(rooms, lines, "\n")
            for (i = 1; i <= count; i++) {
                if (split(lines[i], part, ":") < 2) continue
                known[part[1]] = 1
                n = split(part[2], may, " ")
                for (k = 1; k <= n; k++) allowed[part[1], may[k]] = 1
            }
        }
        FNR == 1 {
            split(FILENAME, path, "/")
            room = path[2]; sub(/\.[ch]$/, "", room)
            if (!(room in known))
                printf "%s: room %s has no line in scripts/lint_house.sh\n", FILENAME, room
        }
        /^[ \t]*#[ \t]*include[ \t]*[<"]nats/ && room != "bus" {
            printf "%s:%d: only src/bus includes nats.h\n", FILENAME, FNR
        }
        /^[ \t]*#[ \t]*include[ \t]*"/ {
            split($0, quoted, "\"")
            if (split(quoted[2], target, "/") > 1 && target[1] != room && !((room, target[1]) in allowed))
                printf "%s:%d: room %s may not include %s\n", FILENAME, FNR, room, quoted[2]
        }' >>"$breaches"
}

check_sizes() {
    files 'src/*.[ch]' 'tests/*.[ch]' 'tests/*.mjs' 'bench/*' 'scripts/*' 'ui/*.ts*' 'ui/*.mjs' \
        'nix/*.mjs' Makefile '*meson.build' |
        xargs awk -v columns_c="$COLUMNS_MAX" -v columns_other="$COLUMNS_MAX_OTHER" \
            -v lines="$FILE_LINES_MAX" '
        FNR == 1 { columns = FILENAME ~ /\.[ch]$/ ? columns_c : columns_other }
        FNR == 1 && previous && count > lines { print previous ": " count " lines, at most " lines }
        FNR == 1 { previous = FILENAME }
        {
            count = FNR
            gsub(/[\200-\277]/, "") # count characters, not the bytes that continue one
            if (length($0) > columns)
                printf "%s:%d: %d columns, at most %d\n", FILENAME, FNR, length($0), columns
        }
        END { if (count > lines) print previous ": " count " lines, at most " lines }' >>"$breaches"
}

# By our format a function begins with a line of its own that is not indented and ends in ")", then "{"
# in column one, and ends with "}" there.
check_functions() {
    files 'src/*.c' 'tests/*.c' 'bench/*.c' | xargs awk -v most="$FUNCTION_LINES_MAX" -v long="$LONG_FUNCTIONS" '
        BEGIN { n = split(long, list, /[ \n]+/); for (i = 1; i <= n; i++) exempt[list[i]] = 1 }
        /^[a-z_].*\(/ { head = $0; at = FNR }
        /^\{/ { begin = FNR }
        /^\}/ && begin {
            name = head; sub(/\(.*/, "", name); sub(/.*[ *]/, "", name)
            if (FNR - begin - 1 > most && !((FILENAME ":" name) in exempt))
                printf "%s:%d: %s has %d lines, at most %d\n", FILENAME, at, name, FNR - begin - 1, most
            begin = 0
        }' >>"$breaches"
}

check_banned() {
    files 'src/*.[ch]' 'bench/*.[ch]' | xargs grep -nE "(^|[^a-zA-Z0-9_.>\"])($BANNED)[ ]*\(" |
        grep -vE ':[0-9]+: *(/\*|\*)' |
        sed -E 's/^([^:]+:[0-9]+):.*[^a-zA-Z0-9_]('"$BANNED"')[ ]*\(.*/\1: \2 is banned/' >>"$breaches" ||
        true
}

check_process_names() {
    files 'src/*' 'tests/*' 'bench/*' 'scripts/*' 'ui/src/*' 'ui/test/*' 'nix/*.mjs' Makefile |
        grep -v '^scripts/lint_house.sh$' | xargs grep -nIE '\b(killall|pkill)\b' |
        sed -E 's/^([^:]+:[0-9]+):.*/\1: kills by name; only end processes that were started here/' \
            >>"$breaches" || true
}

# A file that no meson.build names is never compiled, so nobody would notice that it is wrong.
check_listed() {
    local file room listed
    for file in $(files 'src/*/*.c'); do
        room=$(cut -d/ -f1-2 <<<"$file")
        listed=$(cat "$room/meson.build" "$(dirname "$file")/meson.build" 2>/dev/null || true)
        [[ $listed == *"'${file#"$room"/}'"* || $listed == *"'${file##*/}'"* ]] ||
            breach "$file: in no meson.build, so it is not built"
    done
}

main() {
    check_rooms
    check_sizes
    check_functions
    check_banned
    check_process_names
    check_listed
    sort -t: -k1,1 -k2,2n "$breaches"
    [[ ! -s $breaches ]] || die "$(wc -l <"$breaches") breaches of the house rules"
}

main "$@"
