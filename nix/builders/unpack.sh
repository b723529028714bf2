# Unpacks .deb files into one merged tree and hands it to relocate.py. Runs under the bootstrap's busybox.
# Input, as environment variables: busybox (a folder with bin/busybox), debs (paths), modules (paths: relocate.py and
# what it imports), core (the base's tree; empty while the base itself is built), and what relocate.py reads.
set -eu
bin=$PWD/bin
"$busybox/bin/busybox" mkdir "$bin"
"$busybox/bin/busybox" --install -s "$bin"
export PATH="$bin"

# In a folder of their own, under their own names: the store puts a hash in front.
export lib="$PWD/modules"
mkdir "$lib"
for file in $modules; do
  name=$(basename "$file")
  cp "$file" "$lib/${name#*-}"
done

# Every suite gets the same layout: /bin, /lib, /lib64 and /sbin are links into /usr.
mkdir -p "$out/usr/bin" "$out/usr/sbin" "$out/usr/lib" "$out/usr/lib64"
for folder in bin sbin lib lib64; do ln -s "usr/$folder" "$out/$folder"; done
# The packages' scripts, for the names that relocate.py reads in them; none is run as it is.
export control="$PWD/control"
for deb in $debs; do
  scripts=$control/$(basename "$deb")
  mkdir -p "$scripts"
  # Ubuntu packs with zstd, which busybox does not know: then the bootstrap has it, with its libraries.
  if [ -e "$busybox/bin/zstd" ] && ar -t "$deb" | grep -q data.tar.zst; then
    for part in "data $out" "control $scripts"; do
      ar -p "$deb" "${part%% *}.tar.zst" | "$busybox"/bin/ld-linux* --library-path "$busybox/bin" "$busybox/bin/zstd" -dcq \
        | tar -x -C "${part#* }"
    done
  else
    dpkg-deb -x "$deb" "$out"
    dpkg-deb -e "$deb" "$scripts"
  fi
done
# For scripts among the tools, where no machine has these: Debian's packages take sed, basename and the like as there.
[ -n "${core:-}" ] || { mkdir -p "$out/usr/libexec/applets" && "$busybox/bin/busybox" --install -s "$out/usr/libexec/applets"; }
cd "$out"
rm -rf usr/share/doc usr/share/man usr/share/info usr/share/locale usr/share/lintian usr/share/bug usr/share/doc-base \
  usr/share/menu usr/share/applications usr/share/pixmaps usr/lib/python3/dist-packages/*.dist-info \
  var dev proc sys run tmp home root boot mnt opt srv media

# The first Python runs through the loader by hand: nothing names an interpreter yet.
tree=${core:-$out}
libs=$(find "$tree/usr/lib" -maxdepth 1 -type d -name '*-linux-gnu*')
loader=$(echo "$libs"/ld-linux*.so.*)
export PYTHONHOME="$tree/usr" PYTHONDONTWRITEBYTECODE=1
exec "$loader" --library-path "$libs" "$tree/usr/bin/python$python" -S -s "$lib/relocate.py"
