#!/usr/bin/env bash
# Installs what a make target needs: scripts/deps.sh GROUP... (build up test lint bench fresh)
#
# What is there already is left alone, wherever it came from, and when nothing is missing nothing is
# downloaded and no network is used. `scripts/deps.sh --list GROUP...` only prints the Debian packages.
source "$(dirname "$0")/common.sh"

# group  Debian 12 package  how to see that it is there: a command (`name`, `name>=version`) or, for what
# is no program, `deb`: the package itself. A group's `+other` line takes in all of another group.
readonly TABLE='
build   gcc                     gcc
build   libc6-dev               deb
build   meson                   meson
build   ninja-build             ninja
build   pkg-config              pkg-config
build   libnats-dev             deb
build   libmicrohttpd-dev       deb
build   libyaml-dev             deb
build   libjansson-dev          deb
build   libxxhash-dev           deb
build   libssl-dev              deb
build   libpcre2-dev            deb
build   libcurl4-openssl-dev    deb
build   libargon2-dev           deb
build   libssl-dev              deb
build   zlib1g-dev              deb
build   nodejs                  node>=18
build   npm                     npm
up      +build
up      nats-server             nats-server
up      prometheus              prometheus
up      prometheus-alertmanager prometheus-alertmanager
test    +up
test    clang                   clang
test    libclang-rt-14-dev      deb
test    llvm                    llvm-symbolizer
test    libcmocka-dev           deb
test    curl                    curl
test    openssl                 openssl
test    chromium                chromium
test    fonts-dejavu-core       deb
test    jq                      jq
lint    +build
lint    clang-format            clang-format
lint    clang-tidy              clang-tidy
lint    cppcheck                cppcheck
bench   +build
bench   nats-server             nats-server
bench   g++                     g++
bench   libsimdjson-dev         deb
bench   mtail                   mtail
fresh   git                     git
fresh   debootstrap             debootstrap
'

# Prints "package probe" for each package of the group and of the groups it takes in.
packages_of() {
    local group package probe found=
    while read -r group package probe; do
        [[ $group == "$1" ]] || continue
        found=yes
        if [[ $package == +* ]]; then packages_of "${package#+}"; else say "$package $probe"; fi
    done <<<"$TABLE"
    [[ $found ]] || die "there is no group '$1'; groups: $(groups_known)"
}

groups_known() {
    awk 'NF { print $1 }' <<<"$TABLE" | uniq | paste -sd' '
}

deb_installed() {
    [[ $(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null) == installed ]]
}

# Is it there? The package says so, or the program can be run, in a version that will do.
present() {
    local package=$1 probe=$2 program=${2%%>=*} version
    if [[ $probe == deb ]]; then deb_installed "$package"; return; fi
    command -v "$program" >/dev/null || return 1
    [[ $probe == *'>='* ]] || return 0
    [[ $("$program" --version 2>/dev/null) =~ [0-9]+ ]] && ((BASH_REMATCH[0] >= ${probe##*>=}))
}

missing_of() {
    local package probe
    packages_of "$1" | while read -r package probe; do
        present "$package" "$probe" || say "$package"
    done
}

# --- installing ------------------------------------------------------------------------------------

as_root() {
    if ((EUID == 0)); then "$@"; else sudo "$@"; fi
}

check_can_install() {
    local wanted=$1
    command -v apt-get >/dev/null && command -v dpkg-query >/dev/null ||
        die "this is no Debian system, so nothing was installed. Missing, by Debian's names: $wanted." \
            "Install what your system calls them and run make again."
    ((EUID == 0)) || command -v sudo >/dev/null ||
        die "not root, and there is no sudo. Run this as root, then make again:" \
            "apt-get install --no-install-recommends $wanted"
}

# Debian's maintainer scripts ask this program whether they may start a service.
readonly POLICY=/usr/sbin/policy-rc.d
readonly POLICY_KEPT=$POLICY.kept-by-cim-ops
readonly POLICY_MARK='written by cim-ops scripts/deps.sh'

forbid_service_starts() {
    # A run that was killed may have left ours behind: never keep that one as the system's own.
    if [[ -e $POLICY ]] && ! grep -qs "$POLICY_MARK" "$POLICY"; then
        as_root mv "$POLICY" "$POLICY_KEPT"
    fi
    printf '#!/bin/sh\n# %s while it installs packages; safe to delete.\nexit 101\n' "$POLICY_MARK" |
        as_root tee "$POLICY" >/dev/null
    as_root chmod 755 "$POLICY"
}

allow_service_starts() {
    as_root rm -f "$POLICY"
    [[ ! -e $POLICY_KEPT ]] || as_root mv "$POLICY_KEPT" "$POLICY"
}

apt_install() {
    as_root env DEBIAN_FRONTEND=noninteractive \
        apt-get -o Dpkg::Use-Pty=0 -o Acquire::Retries=3 -q -y --no-install-recommends install "$@"
}

# Those of the packages that no source offers (or whose lists were never fetched).
unknown_to_apt() {
    local package
    for package in "$@"; do
        [[ $(apt-cache policy "$package" 2>/dev/null) =~ Candidate:\ [^\(] ]] || printf '%s ' "$package"
    done
}

update_lists() {
    say "deps: apt-get update"
    as_root apt-get -o Acquire::Retries=3 -q update >/dev/null ||
        die "apt-get update failed (see above): is there a network, is /etc/apt/sources.list right?"
}

# We use the programs, not Debian's services: those would take ports 4222, 9090 and 9093 at each boot.
disable_services_of() {
    local package unit
    command -v systemctl >/dev/null || return 0
    for package in nats-server prometheus prometheus-alertmanager; do
        [[ " $* " == *" $package "* ]] || continue
        unit=$package.service
        as_root systemctl --quiet disable "$unit" >/dev/null 2>&1 &&
            say "deps: $unit is not started, now or at boot ('systemctl enable --now $package' would)"
    done
    return 0
}

install_debs() {
    local wanted="$*" unknown
    check_can_install "$wanted"
    say "deps: installing $wanted"
    say "deps: their services are not started (a temporary $POLICY sees to it)"
    trap allow_service_starts EXIT
    trap 'exit 130' INT TERM
    forbid_service_starts
    if [[ ! $(unknown_to_apt "$@") ]]; then
        # Old lists name versions that the mirror has dropped: one more try with new ones.
        apt_install "$@" || { update_lists && apt_install "$@"; } ||
            die "apt-get install failed (see above) for: $wanted"
    else
        update_lists
        unknown=$(unknown_to_apt "$@")
        [[ ! $unknown ]] ||
            die "no package source of this system has: $unknown(Debian 12, bookworm, main has them)"
        apt_install "$@" || die "apt-get install failed (see above) for: $wanted"
    fi
    allow_service_starts
    trap - EXIT INT TERM
    disable_services_of "$@"
}

# --- npm packages of the tests ---------------------------------------------------------------------

readonly NPM_STAMP=tests/node_modules/.lock-installed

npm_wanted() {
    sha256sum <tests/package-lock.json
}

install_npm() {
    [[ $(cat "$NPM_STAMP" 2>/dev/null) == "$(npm_wanted)" ]] && return 0
    say "deps: npm ci in tests/ ($(jq -r '.dependencies | keys | join(", ")' tests/package.json))"
    (cd tests && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error) ||
        die "npm ci in tests/ failed (see above): is the npm registry reachable?"
    npm_wanted >"$NPM_STAMP"
}

main() {
    local list= group missing
    if [[ ${1:-} == --list ]]; then list=yes && shift; fi
    (($#)) || die "which group? $(groups_known)"
    for group; do packages_of "$group" >/dev/null; done
    if [[ $list ]]; then
        for group; do packages_of "$group"; done | cut -d' ' -f1 | sort -u
        return
    fi
    mapfile -t missing < <(for group; do missing_of "$group"; done | sort -u)
    ((${#missing[@]} == 0)) || install_debs "${missing[@]}"
    if [[ " $* " == *" test "* ]]; then install_npm; fi
}

main "$@"
