#!/bin/sh
# {{ project }} for {{ system }}, in one file, made by nixgen. It needs neither Nix nor nixgen, and no network:
#   sh FILE run [--dir DIR] [--env NAME] [COMMAND…]
# The environment is unpacked below ~/.cache/nixgen/bundles, once, and starts there.
set -u
umask 022
id={{ id }} size={{ size }} skip={{ skip }} file=$0 dir= label=

say() { printf '%s\n' "$@" >&2; }
fail() {
    say "error: $1"
    [ -z "${2:-}" ] || say "  hint: $2"
    exit 3
}
usage() {
    say "usage: sh $file run [--dir DIR] [--env NAME] [COMMAND…]" \
        "{{ project }} for {{ system }}, $size MiB. Without COMMAND, a shell. Unpacks in DIR, or ~/.cache/nixgen/bundles." \
        "With Nix: nixgen bundle open $file. To check it: nixgen bundle verify $file"
    exit "$1"
}

case ${1:-} in
    run) shift ;;
    -h | --help | help) usage 0 ;;
    *) usage 2 ;;
esac
while [ $# -gt 0 ]; do
    case $1 in
        --dir=*) dir=${1#*=} ;;
        --env=*) label=${1#*=} ;;
        --dir | --env)
            [ $# -gt 1 ] || usage 2
            case $1 in --dir) dir=$2 ;; --env) label=$2 ;; esac
            shift
            ;;
        -h | --help) usage 0 ;;
        --) shift && break ;;
        -*) usage 2 ;;
        *) break ;;
    esac
    shift
done
case $label in
{% if environments | length == 1 %}
    '' | '{{ environments[0][0] }}') setup=/nix/store/{{ environments[0][1] }} ;;
{% else %}
{% for label, setup in environments %}
    '{{ label }}') setup=/nix/store/{{ setup }} ;;
{% endfor %}
{% endif %}
    *)
        say "error: --env: there is no environment '$label' in this file" "  hint: leave it out{% for label, _ in environments if label %}{{ ', or ' if loop.last else ', ' }}--env {{ label }}{% endfor %}"
        exit 2
        ;;
esac
[ -f "$file" ] && [ -r "$file" ] || fail "$file cannot be read" "start it by its path: sh ./FILE run"
case "$(uname -s)-$(uname -m)" in
    {{ machine }}) ;;
    *) fail "this file is for {{ system }}, and this machine is $(uname -m) with $(uname -s)" "nixgen bundle --system, on a machine that can build for this one" ;;
esac
for program in tail gzip tar mkdir mv rm ls id sed chmod; do
    command -v "$program" > /dev/null 2>&1 || fail "there is no program $program on this machine" "install it, or busybox, which has it"
done
if [ -z "$dir" ]; then
    dir=${XDG_CACHE_HOME:-${HOME:+$HOME/.cache}}
    [ -n "$dir" ] || fail "this user has no home folder to unpack in" "name a folder: sh $file run --dir DIR"
    dir=$dir/nixgen/bundles
fi
elsewhere="name a folder of your own: sh $file run --dir DIR"
case $dir in /*) ;; *) dir=$PWD/$dir ;; esac
[ -d "$dir" ] || mkdir -p "$dir" 2> /dev/null || fail "$dir: cannot be made" "$elsewhere"
here=$(cd "$dir" 2> /dev/null && pwd -P && echo .) || fail "$dir: cannot be entered" "$elsewhere"
dir=${here%??}
there=$dir/$id

# What is started is this user's own, root's, or theirs who own the file: in /tmp, anybody could have put it there.
entry() { ls -dn $2 "$1" 2> /dev/null | { read -r mode _ uid _ && printf '%s %s\n' "$mode" "$uid"; }; }
owners=" 0 $(id -u) $(entry "$file" -L | sed 's/.* //') "
safe() {
    found=$(entry "$1" "")
    case $owners in *" ${found##* } "*) ;; *) fail "$1: is another user's, who could start what they like" "$elsewhere" ;; esac
    case $found in ????????w[!tT]*) fail "$1: is another user's as much as yours: all may write there" "$elsewhere" ;; esac
}
safe "$dir"

# Whole, or not there at all. A folder of a run that was killed is in nobody's way.
if [ ! -e "$there" ]; then
    [ -w "$dir" ] || fail "$dir: cannot be written to" "$elsewhere"
    new=$dir/.$id.$$
    clear() { rm -rf "$new" "$there/${new##*/}"; } # the latter where another was faster
    until mkdir "$new" 2> /dev/null; do
        [ -e "$new" ] || fail "$new: cannot be made" "$elsewhere"
        new=$new.
    done
    trap clear EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM HUP
    [ ! -t 2 ] || say "unpacking $size MiB in $dir …"
    { tail -c "+$((skip + 1))" "$file" | { gzip -dc || : > "$new/.broken"; } | tar -xf - -C "$new"; } || : > "$new/.failed"
    if [ -e "$new/.broken" ] || [ -e "$new/.failed" ] || [ ! -e "$new/bundle.json" ]; then
        fail "$file: cannot be unpacked in $dir (what gzip and tar said is above)" "$size MiB must be free there: df -h $dir; else the file is damaged: copy it again"
    fi
    mkdir "$new/root" && printf '#!/bin/sh\n' > "$new/.starts" && chmod 755 "$new/.starts" || exit 3
    [ -e "$there" ] || mv "$new" "$there" || fail "$there: cannot be made"
    clear
    trap - EXIT INT TERM HUP
fi
safe "$there"
[ -e "$there/bundle.json" ] || fail "$there: is not whole any more" "remove it: rm -rf '$there'"

enter='. "$0/setup"; nixgen_enter_again "$1"; shift; [ $# -gt 0 ] || exec "$NIXGEN_BASH" --norc -i; exec "$@"'
place=$PWD nix=$there/nix
bash=$(sed -n 's/^NIXGEN_BASH=//p' "$nix${setup#/nix}/setup")
[ -n "$bash" ] || fail "$there: is not whole any more" "remove it: rm -rf '$there'"
[ ! -e "$there/.starts" ] || "$there/.starts" 2> /dev/null || fail "$dir: no program can be started from there (noexec)" "$elsewhere"

# /nix/store as it is, where it has the paths; else in a namespace of its own, where the kernel lets this user have one.
if [ -e "$setup/setup" ]; then
    exec "$bash" -c "$enter" "$setup" "$there/project" "$@"
fi
if command -v bwrap > /dev/null 2>&1 && bwrap --dev-bind / / true 2> /dev/null; then
    set -- "$bash" -c "$enter" "$setup" "$there/project" "$@"
    if [ -d /nix ] && [ ! -h /nix ]; then # bwrap mounts nothing over a link
        exec bwrap --dev-bind / / --ro-bind "$nix" /nix --chdir "$place" -- "$@"
    fi
    set -- --ro-bind "$nix" /nix --chdir "$place" -- "$@"
    for entry in /* /.[!.]*; do
        [ "$entry" != /nix ] || continue
        if [ -h "$entry" ]; then
            set -- --symlink "$(readlink "$entry")" "$entry" "$@"
        elif [ -e "$entry" ]; then
            set -- --dev-bind "$entry" "$entry" "$@"
        fi
    done
    exec bwrap "$@"
fi
# The new root is a folder in memory with all that / has, and /nix. $1 is the folder, $2 the store's, $3 where to start.
inner='
set -e
root=$1 nix=$2 place=$3
shift 3
if [ -d /nix ]; then
    mount -o bind "$nix" /nix
    cd "$place"
    exec "$@"
fi
mount -t tmpfs tmpfs "$root"
for entry in /* /.[!.]*; do
    [ "$entry" != /nix ] || continue
    if [ -h "$entry" ]; then
        ln -s "$(readlink "$entry")" "$root$entry"
    elif [ -d "$entry" ]; then
        mkdir "$root$entry"
        mount -o rbind "$entry" "$root$entry"
    elif [ -e "$entry" ]; then
        : > "$root$entry"
        mount -o bind "$entry" "$root$entry"
    fi
done
mkdir "$root/nix"
mount -o bind "$nix" "$root/nix"
cd "$root"
if command -v pivot_root > /dev/null 2>&1; then
    mkdir .old
    pivot_root . .old
    cd "$place"
    umount -l /.old
    rmdir /.old
    exec "$@"
fi
exec chroot . /bin/sh -c "cd \"\$0\" && exec \"\$@\"" "$place" "$@"
'
PATH=$PATH:/usr/sbin:/sbin
# Root first as it is: in a namespace of users it could not enter what is another user's.
for way in '-m' '-U -r -m'; do
    if command -v unshare > /dev/null 2>&1 && unshare $way mount -t tmpfs tmpfs /tmp 2> /dev/null; then
        exec unshare $way /bin/sh -c "$inner" sh "$there/root" "$nix" "$place" "$bash" -c "$enter" "$setup" "$there/project" "$@"
    fi
done
if [ ! -e /nix ] && [ ! -h /nix ] && [ -w / ] && ln -s "$nix" /nix 2> /dev/null; then
    say "made /nix, a link to $nix: no other way is open on this machine"
    exec "$bash" -c "$enter" "$setup" "$there/project" "$@"
fi
link="ln -s $nix /nix"
if [ -h /nix ]; then link="rm /nix && $link (it is a link to $(readlink /nix))"; elif [ -e /nix ]; then link="mount --bind $nix /nix"; fi
fail "the environment must lie at /nix/store, and this machine lets nobody but root put it there" "one of these, by its administrator: install bubblewrap; allow user namespaces (sysctl user.max_user_namespaces=10000, kernel.unprivileged_userns_clone=1, kernel.apparmor_restrict_unprivileged_userns=0); $link"
exit 3
