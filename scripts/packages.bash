# Sourced by the other scripts: installing what is missing, and saying so.
# shellcheck shell=bash

# as_root COMMAND... runs a command as root, through sudo if need be.
as_root() {
    if [[ $(id -u) -eq 0 ]]; then
        "$@"
    elif command -v sudo >/dev/null; then
        echo "asking for root (sudo): $*"
        sudo "$@"
    else
        echo "this needs root, and there is no sudo: $*" >&2
        return 1
    fi
}

is_installed() {
    [[ $(dpkg-query --show --showformat='${db:Status-Status}' "$1" 2>/dev/null) == installed ]]
}

# need_packages NAME... installs the Debian packages that are missing; without any missing it touches nothing.
need_packages() {
    local missing=() name
    if ! command -v dpkg-query >/dev/null; then
        echo "this is no Debian or Ubuntu: install what these packages hold yourself: $*"
        return 0
    fi
    for name in "$@"; do
        is_installed "$name" || missing+=("$name")
    done
    if ((${#missing[@]} == 0)); then
        echo "installed already: $*"
        return 0
    fi
    echo "installing: ${missing[*]}"
    as_root apt-get update -qq &&
        as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}"
}

# need_rust finds cargo, also where rustup has put it but the shell does not know yet.
need_rust() {
    if ! command -v cargo >/dev/null && [[ -x ${CARGO_HOME:-$HOME/.cargo}/bin/cargo ]]; then
        export PATH="${CARGO_HOME:-$HOME/.cargo}/bin:$PATH"
    fi
    if ! command -v cargo >/dev/null; then
        echo "Rust is missing; install it as https://rustup.rs says, then run this again" >&2
        return 1
    fi
}
