#!/usr/bin/env bash
# Proves the front door: an empty Debian 12, a clone of HEAD, one make target.
#
#     scripts/fresh_check.sh [--user] [--worktree] [TARGET]...    default target: build
#
#   --user      as an ordinary user with sudo instead of root
#   --worktree  the files as they lie here instead of a clone of HEAD
#
# The target `up` is started, watched until its monitor shows counted events, and ended with Ctrl-C.
# Needs root. The bare system is debootstrapped once into $FRESH_BASE and copied for each run; the run
# has mount and process namespaces of its own, so whatever happens, nothing stays mounted or running.
source "$(dirname "$0")/common.sh"

readonly BASE=${FRESH_BASE:-/var/tmp/cim-ops-fresh/bookworm}
readonly MIRROR=${FRESH_MIRROR:-http://deb.debian.org/debian}
readonly LIMIT=${FRESH_LIMIT:-2400} # seconds for one target

# What a person has who could clone: Debian's minimal system, git and make.
make_base() {
    [[ -e $BASE.done ]] && return
    say "fresh: debootstrap bookworm into $BASE (once)"
    rm -rf "$BASE" && mkdir -p "$BASE"
    timeout 1200 debootstrap --variant=minbase --include=ca-certificates,git,make,sudo \
        bookworm "$BASE" "$MIRROR" >"$BASE.log" 2>&1 ||
        die "debootstrap failed: $(tail -3 "$BASE.log")"
    touch "$BASE.done"
}

# This machine's way to the network: names, certificates, apt and npm settings; none of its packages.
copy_network_settings() {
    local root=$1 file
    for file in /etc/resolv.conf /etc/hosts /etc/ssl/certs/ca-certificates.crt \
        /etc/apt/apt.conf.d/*proxy* /etc/apt/apt.conf.d/*cert*; do
        [[ -e $file ]] && install -D -m 644 "$file" "$root$file"
    done
    {
        say "deb $MIRROR bookworm main"
        say "deb $MIRROR bookworm-updates main"
        say "deb ${MIRROR%/debian}/debian-security bookworm-security main"
    } >"$root/etc/apt/sources.list"
    say "cafile=/etc/ssl/certs/ca-certificates.crt" >"$root/etc/npmrc.fresh"
}

copy_sources() {
    local from=$1 to=$2
    if [[ $from == worktree ]]; then
        mkdir -p "$to"
        git ls-files -z --cached --others --exclude-standard |
            tar --null --ignore-failed-read -T - -cf - 2>/dev/null | tar -xf - -C "$to"
    else
        git clone -q "$REPOSITORY" "$to"
    fi
}

# Runs in the namespaces: ROOT USER TARGET.
inside() {
    local root=$1 user=$2 target=$3
    mount --make-rprivate /
    mount -t proc proc /proc
    mount -t proc proc "$root/proc"
    mount --rbind /dev "$root/dev"
    mount -t sysfs sysfs "$root/sys" -o ro
    mount -t tmpfs tmpfs "$root/run"
    local shell=(chroot "$root" env -i PATH=/usr/local/bin:/usr/bin:/bin TERM=dumb LANG=C.UTF-8
        NPM_CONFIG_GLOBALCONFIG=/etc/npmrc.fresh)
    if [[ $user == root ]]; then
        shell+=(HOME=/root PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin)
    else
        shell+=(HOME=/home/$user setpriv --reuid="$user" --regid="$user" --init-groups)
    fi
    shell+=(sh -c 'cd "$HOME/cim-ops" && shift && exec "$@"' sh -)
    if [[ $target == up ]]; then watch_up "${shell[@]}"; else "${shell[@]}" make "$target"; fi
}

# `make up` until events are counted and Prometheus has scraped them, then Ctrl-C and a clean end.
watch_up() {
    local pid code=0
    setsid env --default-signal=INT,QUIT "$@" make up &
    pid=$!
    trap "kill -KILL -- -$pid 2>/dev/null || true" EXIT
    wait_for "counted events on :9091/metrics" "$pid" \
        "curl -sf http://127.0.0.1:9091/metrics | grep -E '^cim_events_total.* [1-9]'"
    wait_for "Prometheus has them" "$pid" \
        "curl -sf 'http://127.0.0.1:9090/api/v1/query?query=sum(cim_events_total)' | grep '\"value\"'"
    wait_for "the viewer shows its dashboards" "$pid" \
        "curl -sf http://127.0.0.1:3000/api/dashboards | grep -o '\"uid\":\"cim-events\"'"
    wait_for "Alertmanager answers" "$pid" "curl -sf http://127.0.0.1:9093/-/ready"
    say "fresh: up works; Ctrl-C"
    kill -INT -- "-$pid"
    wait "$pid" || code=$?
    say "fresh: make up ended with $code"
    # make itself reports an interrupt; what counts is that nothing is left.
    ! ps -eo pid=,comm= | grep -E ' (nats-server|prometheus.*|cim-ops)$' || die "still running"
    trap - EXIT
}

wait_for() {
    local what=$1 pid=$2 condition=$3 ends=$((SECONDS + 900))
    until bash -c "$condition" 2>/dev/null | head -3 | grep .; do
        kill -0 "$pid" 2>/dev/null || die "make up ended before: $what"
        ((SECONDS < ends)) || die "not within 900 s: $what"
        sleep 1
    done
    say "fresh: $what"
}

main() {
    local user=root from=HEAD root target home
    while [[ ${1:-} == --* ]]; do
        case $1 in
        --inside)
            shift
            inside "$@"
            return
            ;;
        --user) user=newcomer ;;
        --worktree) from=worktree ;;
        *) die "unknown option $1" ;;
        esac
        shift
    done
    ((EUID == 0)) || die "needs root (chroot, mount)"
    make_base
    root=$(mktemp -d "${BASE%/*}/run-XXXXXX")
    trap "rm -rf --one-file-system '$root'" EXIT
    cp -a "$BASE/." "$root"
    copy_network_settings "$root"
    home=/root
    if [[ $user != root ]]; then
        home=/home/$user
        chroot "$root" useradd -m -s /bin/bash "$user"
        say "$user ALL=(ALL) NOPASSWD: ALL" >"$root/etc/sudoers.d/$user"
    fi
    copy_sources "$from" "$root$home/cim-ops"
    [[ $user == root ]] || chroot "$root" chown -R "$user:$user" "$home/cim-ops"
    for target in "${@:-build}"; do
        say "fresh: make $target as $user in a bare Debian $(cat "$root/etc/debian_version")"
        timeout -k 30 "$LIMIT" unshare --mount --pid --fork --kill-child \
            "$REPOSITORY/scripts/fresh_check.sh" --inside "$root" "$user" "$target" ||
            die "make $target failed with $?"
        say "fresh: make $target: done in $SECONDS s"
    done
}

main "$@"
