# What the scripts of this folder share: finding or installing Python, Nix and git, and the settings Nix runs with.
# Plain POSIX sh, because a fresh machine has nothing else. Sourced with $root set to the repository.

cache=$root/.cache
venv=$cache/venv

say() { printf '%s\n' "$*" >&2; }

# fail WHAT [MEND…]: ends with a sentence, and what mends it in the lines below, as nixgen prints it.
fail() {
    say "error: $1"
    shift
    before="  hint: "
    for line in "$@"; do
        say "$before$line"
        before="    "
    done
    exit 3
}

is_debian() { [ "$(uname -s)" = Linux ] && command -v apt-get >/dev/null && command -v dpkg >/dev/null; }

# The prefix that makes a command run as root: nothing, or sudo.
as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi
}

# Whether dpkg has a package; it also knows names of packages that are not installed.
is_installed() { dpkg-query -W -f '${Status}' "$1" 2>/dev/null | grep -q '^install ok installed'; }

# apt_install PACKAGE…: installs those that are missing.
apt_install() {
    missing=
    for package in "$@"; do
        is_installed "$package" || missing="$missing $package"
    done
    [ -n "$missing" ] || return 0
    if [ "$(id -u)" != 0 ] && ! command -v sudo >/dev/null; then
        fail "these packages are missing, and there is neither root nor sudo to install them:$missing" \
            "as root: apt-get install$missing"
    fi
    say "installing with apt:$missing"
    mkdir -p "$cache"
    if ! { as_root env DEBIAN_FRONTEND=noninteractive apt-get update -q &&
        # shellcheck disable=SC2086  # one word for each package
        as_root env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends $missing; } \
        >"$cache/apt.log" 2>&1 </dev/null; then
        tail -n 20 "$cache/apt.log" >&2
        fail "apt could not install$missing" "without sudo, as root: apt-get install$missing" "the whole log: $cache/apt.log"
    fi
}

# The certificates that pip, uv and git trust: the system's, where nothing else was said.
certificates() {
    if is_debian && [ ! -e /etc/ssl/certs/ca-certificates.crt ]; then apt_install ca-certificates; fi
    if [ -e /etc/ssl/certs/ca-certificates.crt ]; then
        export PIP_CERT="${PIP_CERT:-/etc/ssl/certs/ca-certificates.crt}"
        export SSL_CERT_FILE="${SSL_CERT_FILE:-/etc/ssl/certs/ca-certificates.crt}"
    fi
}

# Whether a Python is 3.11 or newer and can make a virtual environment with pip in it.
python_serves() {
    "$1" -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1
}

find_python() {
    for python in ${PYTHON:-} python3 /usr/bin/python3 python3.14 python3.13 python3.12 python3.11; do
        if command -v "$python" >/dev/null 2>&1 && python_serves "$python"; then return 0; fi
    done
    return 1
}

# Sets $python, installing it where apt can.
prepare_python() {
    if ! find_python; then
        is_debian || fail "Python 3.11 or newer with venv and pip is needed" "see https://www.python.org/downloads/"
        apt_install python3 python3-venv
        # Ubuntu 22.04: python3 is 3.10, and 3.11 a package beside it.
        find_python || apt_install python3.11 python3.11-venv
        find_python || fail "no Python 3.11 or newer that can make virtual environments was found" "set PYTHON to one"
    fi
}

# prepare_venv [dev]: a virtual environment with nixgen in editable form and the files of requirements.lock, with `dev`
# those of .ci/requirements-dev.lock, which has the same and what the tests need. A lock names each file by its hash
# and all of them, so nothing is resolved: a newer release of anything changes nothing. Made anew only when what it is
# made from has changed; one for the tests serves for a demonstration, too. Byte code is made of what is imported, a fraction of
# all; of nixgen here, where PYTHONDONTWRITEBYTECODE is set: each start would take twice as long.
prepare_venv() {
    certificates
    lock=$root/requirements.lock
    [ "${1:-}" != dev ] || lock=$root/.ci/requirements-dev.lock
    made=$(cat "$venv/stamp" 2>/dev/null) || made=
    if [ -x "$venv/bin/python" ]; then
        [ "$made" != "$(venv_stamp "$lock")" ] || return 0
        [ "$made" != "$(venv_stamp "$root/.ci/requirements-dev.lock")" ] || return 0
    fi
    prepare_python
    say "making $venv with $(command -v "$python") ($("$python" --version))"
    rm -rf "$venv"
    mkdir -p "$cache"
    if ! { "$python" -m venv "$venv" &&
        "$venv/bin/pip" install --disable-pip-version-check -q --no-compile --no-deps --require-hashes --only-binary :all: \
            -r "$lock" &&
        "$venv/bin/pip" install --disable-pip-version-check -q --no-index --no-deps --no-build-isolation \
            -e "$root"; } >"$cache/pip.log" 2>&1 </dev/null; then
        tail -n 20 "$cache/pip.log" >&2
        fail "the virtual environment could not be made" "the whole log: $cache/pip.log"
    fi
    [ -z "${PYTHONDONTWRITEBYTECODE:-}" ] || "$venv/bin/python" -m compileall -q "$root/nixgen" >>"$cache/pip.log" 2>&1 || :
    venv_stamp "$lock" >"$venv/stamp"
}

# venv_stamp LOCK: what a virtual environment is made from.
venv_stamp() { echo "$(cat "$1" "$root/pyproject.toml" | cksum) $root"; }

prepare_git() {
    command -v git >/dev/null && return 0
    is_debian || fail "git is needed, and is not here"
    apt_install git
}

# Nix, found or installed. A machine that has one keeps it as it is.
prepare_nix() {
    if ! command -v nix >/dev/null && [ -x /nix/var/nix/profiles/default/bin/nix ]; then
        PATH=$PATH:/nix/var/nix/profiles/default/bin
    fi
    if ! command -v nix >/dev/null; then
        is_debian || fail "Nix is not installed" "how to install it: https://nixos.org/download"
        apt_install nix-bin busybox-static
    fi
    [ "$(id -u)" != 0 ] || return 0
    state=${NIX_STATE_DIR:-/nix/var/nix}
    me=$(id -un)
    # Debian lets only members of nix-users into this folder; others do not even see whether the daemon runs.
    if [ -d "$state/daemon-socket" ] && [ ! -x "$state/daemon-socket" ]; then
        fail "Nix's daemon does not let $me in" "sudo usermod -aG nix-users $me" "then log in again"
    fi
    if [ -S "$state/daemon-socket/socket" ]; then
        # Made by this script before there was a daemon: Nix would go past the daemon, and into a store that is not its.
        if [ -w "$state" ] && [ ! -w "${NIX_STORE_DIR:-/nix/store}" ]; then
            fail "Nix's daemon runs, and $state is still $me's" "hand it to the daemon: sudo chown -R root /nix"
        fi
        return 0
    fi
    # Without /nix/var/nix a current Nix takes a store in the user's folder, whose programs run only in its own chroot.
    if [ ! -d "$state" ]; then
        say "making /nix, owned by $me"
        as_root install -d -m 755 -o "$(id -u)" -g "$(id -g)" /nix /nix/var "$state"
    elif [ ! -w "$state" ]; then
        if [ "$(command -v nix)" = /usr/bin/nix ] && ! is_installed nix-setup-systemd; then
            fail "/nix is not $me's, and no Nix daemon is installed" \
                "install it: sudo apt-get install nix-setup-systemd && sudo usermod -aG nix-users $me" "then log in again" \
                "or have a store of your own: sudo chown -R $me /nix"
        fi
        fail "/nix is not $me's, and no Nix daemon runs" "start the daemon: $(start_daemon)"
    fi
}

# The command that starts Nix's daemon.
start_daemon() {
    if [ -d /run/systemd/system ]; then
        echo "sudo systemctl start nix-daemon"
    else
        echo "sudo sh -c 'nix-daemon &'"
    fi
}

# Whether Nix can be used as it is set up, found out before anything takes time.
check_nix() {
    # A file is added, because without a need for its store Nix does not ask the daemon.
    said=$(nix-instantiate --eval --read-write-mode --expr 'builtins.toFile "works" ""' 2>&1 </dev/null) && return 0
    case $said in
    *daemon-socket*ermission*)
        fail "Nix's daemon does not let $(id -un) in" "sudo usermod -aG nix-users $(id -un)" "then log in again"
        ;;
    *daemon-socket*) fail "Nix's daemon does not answer" "start it: $(start_daemon)" ;;
    esac
    printf '%s\n' "$said" >&2
    fail "Nix does not work on this machine" "its own words are above; how to install it: https://nixos.org/download"
}

# The value of one of Nix's settings.
nix_setting() {
    { nix config show 2>/dev/null || nix show-config 2>/dev/null; } | sed -n "s/^$1 = *//p"
}

# Sets NIX_CONFIG: flakes, and a sandbox that works here. The machine's nix.conf is read, and never written.
# Sets $nix_prefix to what Nix's flake commands have to be run through, which is nothing but in a chroot: there Nix,
# run by root, ends in the root outside, because it enters its own mount namespace again; without that right it stays.
nix_config() {
    nix_prefix=
    NIX_CONFIG="${NIX_CONFIG:+$NIX_CONFIG
}extra-experimental-features = nix-command flakes"
    export NIX_CONFIG
    [ "$(uname -s)" = Linux ] || return 0
    # Where a daemon builds, the daemon's own settings rule.
    if [ "$(id -u)" != 0 ] && [ -S /nix/var/nix/daemon-socket/socket ]; then return 0; fi

    if [ "$(id -u)" = 0 ] && ! grep -q "^$(nix_setting build-users-group):" /etc/group; then
        NIX_CONFIG="$NIX_CONFIG
build-users-group ="
    fi
    # Debian's Nix has no shell of its own for the sandbox, or names one that is not installed.
    shell=$(nix_setting sandbox-paths | tr ' ' '\n' | sed -n 's|^/bin/sh=||p')
    if [ -z "$shell" ] || [ ! -e "$shell" ]; then
        if [ -x /bin/busybox ]; then shell=/bin/sh=/bin/busybox; else shell=; fi
        NIX_CONFIG="$NIX_CONFIG
sandbox-paths = $shell"
    fi
    if sandbox_works; then
        NIX_CONFIG="$NIX_CONFIG
sandbox = true
sandbox-fallback = false"
    else
        say "this machine (a container or a chroot, perhaps) lets Nix make no sandbox: building without one"
        NIX_CONFIG="$NIX_CONFIG
sandbox = false"
        if [ "$(id -u)" = 0 ] && setpriv --bounding-set -sys_admin true 2>/dev/null; then
            nix_prefix="setpriv --bounding-set -sys_admin --inh-caps -sys_admin"
        fi
    fi
}

# Builds a one-line derivation with the sandbox on, in a store that is thrown away.
sandbox_works() {
    trial=$(mktemp -d)
    builder='derivation { name = "sandbox"; system = builtins.currentSystem; builder = "/bin/sh"; args = [ "-c" "echo > $out" ]; }'
    works=0
    NIX_CONFIG="$NIX_CONFIG
sandbox = true
sandbox-fallback = false
substituters =" nix-build --store "$trial" --no-out-link -E "$builder" >"$trial/log" 2>&1 </dev/null || works=1
    chmod -R u+w "$trial" && rm -rf "$trial"
    return "$works"
}

# nix_is_at_least 2.18
nix_is_at_least() {
    have=$(nix --version | sed 's/.* //')
    [ "$(printf '%s\n%s\n' "$1" "$have" | sort -V | head -n 1)" = "$1" ]
}

# The virtual environment first, for what is run from here. Compiled modules are kept, whatever was set: the tests start
# Python a thousand times.
use_venv() {
    PATH=$venv/bin:$PATH
    export PATH
    unset PYTHONPATH PYTHONHOME VIRTUAL_ENV PYTHONDONTWRITEBYTECODE
}
