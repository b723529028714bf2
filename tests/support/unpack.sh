# What the scripts beside it share: unpacks packages of a newer Debian, with what they depend on. Sourced with
# $folder (where it is to be), $format (raised when the script changes what it writes) and $suite set.
#
# apt finds the packages and checks them against Debian's signed index; its state stays inside the folder, so the
# machine's own package lists and packages are not touched.

if [ "$(cat "$folder/done" 2>/dev/null)" = "$format $suite" ]; then
    exit 0
fi
# One at a time: the tests run in several processes, and each asks for it.
if [ -z "${UNPACKING_LOCKED:-}" ] && command -v flock >/dev/null; then
    mkdir -p "$(dirname "$folder")"
    UNPACKING_LOCKED=1 exec flock "$folder.lock" "$0" "$folder"
fi

keyring=/usr/share/keyrings/debian-archive-keyring.gpg
command -v apt-get >/dev/null || { echo "error: this is unpacked with apt-get, which is not here" >&2; exit 3; }
[ -r "$keyring" ] || { echo "error: $keyring is missing; to mend: apt-get install debian-archive-keyring" >&2; exit 3; }

# The mirror that this machine already uses: the first plain suite in either form of apt's sources.
mirror=$(cat /etc/apt/sources.list.d/debian.sources /etc/apt/sources.list /etc/apt/sources.list.d/*.list 2>/dev/null |
    sed -n -e 's|^URIs: *\([^ ]*/debian/\{0,1\}\)\( .*\)\{0,1\}$|\1|p' \
        -e 's|^deb  *\(\[[^]]*\]  *\)\{0,1\}\([^ ]*/debian/\{0,1\}\) .*$|\2|p' | head -n 1)
[ -n "$mirror" ] || { echo "error: no Debian mirror in /etc/apt/sources.list or sources.list.d" >&2; exit 3; }

work=$folder.partial
rm -rf "$work"
mkdir -p "$work/apt/state/lists/partial" "$work/apt/cache/archives/partial" "$work/root" "$work/bin"
: >"$work/apt/status"
echo "deb [signed-by=$keyring] $mirror $suite main" >"$work/apt/sources.list"

# The mirror of a closed network may lag behind the weekly expiry of a testing suite; the signature is checked.
apt() {
    apt-get -q -o Dir::State="$work/apt/state" -o Dir::State::status="$work/apt/status" -o Dir::Cache="$work/apt/cache" \
        -o Dir::Etc::sourcelist="$work/apt/sources.list" -o Dir::Etc::sourceparts=/dev/null \
        -o Dir::Etc::preferences=/dev/null -o Dir::Etc::preferencesparts=/dev/null \
        -o APT::Architectures="$(dpkg --print-architecture)" -o APT::Install-Recommends=0 -o Debug::NoLocking=1 -o Acquire::Check-Valid-Until=false \
        -o APT::Sandbox::User="$(id -un)" "$@"
}

# unpack PACKAGE…: into $work/root.
unpack() {
    echo "unpacking $* from Debian's $suite into $folder" >&2
    apt update >"$work/apt/log" 2>&1 && apt install -y --download-only "$@" >>"$work/apt/log" 2>&1 || {
        tail -n 20 "$work/apt/log" >&2
        echo "error: apt could not fetch $* from Debian's $suite" >&2
        exit 3
    }
    for deb in "$work"/apt/cache/archives/*.deb; do
        dpkg-deb --extract "$deb" "$work/root"
    done
}

# finished PROGRAM: what is in $work becomes the folder.
finished() {
    rm -rf "$work/apt/cache" "$work/apt/state" "$folder"
    mv "$work" "$folder"
    "$folder/bin/$1" --version >&2
    echo "$format $suite" >"$folder/done"
}
