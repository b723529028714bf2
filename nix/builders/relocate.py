"""Turns the unpacked .deb files in $out into a tree that runs from the store and sees nothing of the host.

Input, as environment variables: out; python ("3.11"); core (the base's tree when this is an addition to it, else
empty); beside (one more tree whose files this one uses, or none); toolchain (not empty when the addition is compilers);
lib (the folder of bytecode.py, elf.py, relink.py, workers.py); preload (sonames, only for the base itself); managed (what
Python says to whoever would install into it).
"""

import glob
import json
import os
import re
import shutil
import stat
import subprocess
import sys

sys.path.insert(0, os.environ["lib"])

import alternatives  # noqa: E402
import bytecode  # noqa: E402
import elf  # noqa: E402
import hostpaths  # noqa: E402
import libraries  # noqa: E402
import redirect  # noqa: E402
import relink  # noqa: E402
import workers  # noqa: E402

OUT = os.environ["out"]
CORE = os.environ.get("core") or OUT
# The trees whose files this one uses, itself first.
TREES = tuple(dict.fromkeys((OUT, *filter(None, [os.environ.get("beside")]), CORE)))
PYTHON = f"python{os.environ['python']}"
# Where unpack.sh has put the packages' maintainer scripts.
CONTROL = os.environ["control"]
# What Debian's loader and C library look for on the host, and find in the tree instead.
CACHE, ARCHIVE, ZONES = b"/usr/lib/ld.so.cache", b"/usr/lib/locale/locale-archive", b"/usr/share/zoneinfo"
# What is written over: the loader's help, the library's banner.
HELP, BANNER = rb"Usage: %s \[OPTION\][^\0]*", rb"GNU C Library [^\0]*"
# What Debian's loader would look at on the host besides: its list of preloaded libraries, the default folders.
HOST_PATHS = re.compile(rb"(?<![!-~])/(etc/ld\.so\.preload|(?:usr/)?lib(?:64)?/(?:[a-z0-9_]+-linux-gnu/)?)\0")
# What Debian's C library would load from the host: iconv's modules, which are libraries, locales and translations.
MODULES = re.compile(rb"(?<![!-~])/(usr/(?:lib/[a-z0-9_]+-linux-gnu/gconv(?:/gconv-modules\.cache)?|lib/locale|share/locale(?:/[!-~]*)?))\0")
# What maintainer scripts would have done, and programs need: where the program is, and what it is given.
AFTERWARDS = (
    ("/usr/bin/dot", ("-c",)),
    ("/usr/lib/*-linux-gnu/gdk-pixbuf-2.0/gdk-pixbuf-query-loaders", ("--update-cache",)),
    ("/usr/lib/*-linux-gnu/glib-2.0/glib-compile-schemas", ("/usr/share/glib-2.0/schemas",)),
    ("/usr/lib/*-linux-gnu/glib-2.0/gio-querymodules", ("/usr/lib/*-linux-gnu/gio/modules",)),
)
# A library, or a linker script in its place.
LINKED = re.compile(r"/lib[^/]*\.(?:a|so)(?:\.[0-9.]+)?$")
# Where pkg-config finds all that a library's file names.
PREFIX = re.compile(rb"(?m)^(\w+=)/usr$")
VENV_HINT = """Make the environment with uv instead:

    uv venv

Or add "python{}-venv" to libraries, under [tool.nixgen] in pyproject.toml.
"""
# The end of a name by which a program or library loads others: dlopen, lt_dlopen.
LOADS = b"dlopen\0"
# Where fontconfig looks for fonts: the machine's and the user's.
FONTS = re.compile(rb"[ \t]*<dir\b[^>]*>(?!/nix/store/)[^<]*</dir>\n?")
# No script is larger; dictionaries and the like are, and name no files.
LARGEST_TEXT = 4 << 20


def regular_files():
    """Every regular file of the tree, sorted, each once: the links of the merged layout are not followed."""
    for folder, folders, files in os.walk(OUT):
        folders.sort()
        for file in sorted(files):
            path = os.path.join(folder, file)
            if stat.S_ISREG(os.lstat(path).st_mode):
                yield path


def mend_links():
    """Links to absolute paths point into this tree, or into the base's; one that leads nowhere is dropped."""
    for folder, folders, files in os.walk(OUT):
        for name in folders + files:
            path = os.path.join(folder, name)
            if not os.path.islink(path):
                continue
            target = os.readlink(path)
            if target.startswith(("/nix/", OUT)):
                continue
            if target.startswith("/"):
                os.unlink(path)
                for tree in TREES:
                    if os.path.lexists(tree + target):
                        os.symlink(tree + target, path)
                        break
            elif not os.path.lexists(os.path.join(folder, target)):
                wanted = [os.path.normpath(os.path.join(folder, target)).replace(OUT, tree, 1) for tree in TREES]
                if found := next(filter(os.path.lexists, wanted), None):
                    os.unlink(path)
                    os.symlink(found, path)


def library_folders(tree):
    """The folders that the loader must search in a tree, the multiarch one first."""
    usr = f"{tree}/usr/lib"
    named = sorted(name for name in os.listdir(usr) if name.endswith(("-linux-gnu", "-linux-gnueabihf")))
    return [f"{usr}/{name}" for name in named] + [usr]


def search_path():
    """Where programs of this tree look for libraries."""
    return [folder for tree in TREES for folder in library_folders(tree)]


def usual_names():
    """The names that Debian gives programs and libraries when it installs them."""
    base = library_folders(CORE)[0]
    (loader,) = glob.glob(f"{base}/ld-linux*.so.*")
    bash = [loader, "--library-path", base, f"{CORE}/usr/bin/bash"]
    alternatives.link(OUT, sorted(glob.glob(f"{CONTROL}/*/postinst")), bash, TREES)


def c_library():
    """The loader and the C library of this tree; an addition has its own, since what it brings is to be found, too."""
    folder = f"{OUT}/usr/lib/{os.path.basename(library_folders(CORE)[0])}"
    base = library_folders(CORE)[0]
    loader = next(name for name in sorted(os.listdir(base)) if name.startswith("ld-linux"))
    return f"{folder}/{loader}", f"{folder}/libc.so.6"


def own_c_library():
    """Makes the loader and the C library look into this tree where they would look on the host."""
    loader, libc = c_library()
    tree = OUT.encode()
    if CORE == OUT:
        blind(loader, HOST_PATHS, 3)
        blind(libc, MODULES, 4)
        blind(libc, hostpaths.PIECE, 0)
        redirected(loader, HELP, {b"/etc/ld.so.cache": tree + CACHE})
        redirected(libc, BANNER, {ARCHIVE: tree + ARCHIVE, ZONES: tree + ZONES})
        return
    os.makedirs(os.path.dirname(loader), exist_ok=True)
    for path, place in ((loader, CACHE), (libc, ARCHIVE)):
        with open(path.replace(OUT, CORE, 1), "rb") as file:
            content = redirect.again(file.read(), CORE.encode() + place, tree + place)
        with open(path, "wb") as file:
            file.write(content)
        os.chmod(path, 0o755)


def locales():
    """The one file in which the C library looks for locales: with this tree's and the base's."""
    folders = [f"{tree}/usr/lib/locale" for tree in dict.fromkeys((CORE, OUT))]
    found = {entry.name: entry.path for folder in folders if os.path.isdir(folder) for entry in os.scandir(folder) if entry.is_dir()}
    localedef = f"{CORE}/usr/bin/localedef"
    if not found or not os.path.exists(localedef):
        return
    os.makedirs(folders[-1], exist_ok=True)
    command = [c_library()[0], "--library-path", ":".join(search_path()), localedef, f"--prefix={OUT}", "--quiet", "--add-to-archive"]
    subprocess.run([*command, *(found[name] for name in sorted(found))], check=True)
    for path in found.values() if CORE != OUT else ():
        if path.startswith(OUT):
            shutil.rmtree(path)


def redirected(path, room, paths):
    """Rewrites a file of glibc's with some of its compiled-in paths changed."""
    with open(path, "rb") as file:
        content = file.read()
    try:
        replace(path, redirect.redirect(content, room, paths))
    except redirect.Unknown as problem:
        raise SystemExit(f"{path.removeprefix(OUT)} is not as this builder knows it: {problem}") from None


def blind(path, places, least):
    """Takes the host's places out of the loader or libc, so that a missing library is missing everywhere alike."""
    with open(path, "rb") as file:
        content = file.read()
    content, count = places.subn(lambda hit: hit[0].replace(hit[1], b"\x01" * len(hit[1])), content)
    if count < least:
        raise SystemExit(f"{path}: expected {least} of the host's places or more, found {count}")
    replace(path, content)


def replace(path, content, executable=0o111):
    """Writes a file anew: the old one may be the program or library that is running."""
    with open(path + ".new", "wb") as file:
        file.write(content)
    os.chmod(path + ".new", os.stat(path).st_mode | executable)
    os.rename(path + ".new", path)


def within_trees(folders):
    """The folders of a search path that a package brought itself, in the trees; one that is in neither is dropped."""
    for folder in folders:
        if folder.startswith("$ORIGIN"):
            yield folder
        else:
            yield from [tree + os.path.normpath(folder) for tree in TREES if folder[:1] == "/" and os.path.isdir(tree + folder)]


def programs_and_libraries(paths):
    """Gives programs and libraries their loader and search path, and this tree's files instead of the host's.

    A library's search path is changed only where it had one. Returns what only a variable can change: path → names.
    """
    search, trees, lacking = search_path(), hostpaths.Trees(*TREES), {}
    interpreter, _ = c_library()
    for path in paths:
        with open(path, "rb") as file:
            if file.read(6)[:4] != b"\x7fELF":
                continue
            file.seek(0)
            content = file.read()
        facts, name = elf.read(content), os.path.basename(path)
        if facts is None or path == interpreter or name == "libc.so.6":
            continue
        if not facts.dynamic:
            if facts.started:
                new, lacking[path] = hostpaths.unled(content, trees)
                if new != content:
                    replace(path, new)
            continue
        try:
            wanted = relink.File(content)
            if facts.program or facts.has_runpath:
                own = [] if facts.program else [os.path.dirname(path)]
                wanted.rpath = list(dict.fromkeys([*own, *within_trees(wanted.rpath), *search]))
            if facts.program:
                wanted.interpreter = os.fsencode(interpreter)
            if name == PYTHON:
                # It knows by itself where it is; and a copy of it is changed again, so that it has no more than that.
                wanted.needed = [*os.environ["preload"].split(), *wanted.needed]
                replace(path, wanted.write())
                continue
            new, lacking[path] = hostpaths.lead(wanted, trees)
            if new is not None or facts.program or facts.has_runpath:
                replace(path, new or wanted.write())
        except relink.Unwritable as problem:
            raise SystemExit(f"{path.removeprefix(OUT)} cannot be made to run from the store: {problem}") from None
    for path, places in sorted(lacking.items()):
        for place in places:
            names = " and ".join(sorted(hostpaths.variables([place])))
            print(f"{path.removeprefix(OUT)}: {place} is compiled in" + (f": {names} says where it is" if names else " for good: it finds nothing there"))
    return {path: found for path, places in lacking.items() if (found := hostpaths.variables(places))}


def set_variables(lacking):
    """Programs whose files only a variable can name are started with it; and the environment's Python gets a list."""
    trees, known, needed = hostpaths.Trees(*TREES), f"{CORE}/nixgen-variables", {}
    if CORE != OUT:
        with open(known, encoding="utf-8") as file:
            lacking = {**{path: set(names) for path, names in json.load(file)["lacking"].items()}, **lacking}
    values = {name: trees.value(name) for wanted in lacking.values() for name in sorted(wanted)}

    shared = {name for path, wanted in lacking.items() if ".so" in os.path.basename(path) for name in wanted} - hostpaths.OTHERS

    def names(path):
        """The variables that a program or library wants, with those of what it needs, or loads when it runs (plugins)."""
        if path not in needed:
            needed[path] = lacking.get(path, set())
            with open(path, "rb") as file:
                content = file.read()
            if LOADS in content and not os.path.basename(path).startswith(("ld-linux", "libc.so")):
                needed[path] = needed[path] | shared
            sonames = relink.File(content).needed
            found = (os.path.realpath(f"{folder}/{soname}") for tree in TREES for folder in library_folders(tree) for soname in sonames)
            needed[path] = needed[path].union(*(names(other) for other in found if os.path.isfile(other)))
        return {name for name in needed[path] if values[name]}

    for folder in (f"{OUT}/usr/bin", f"{OUT}/usr/sbin") if CORE != OUT else ():
        for entry in sorted(os.scandir(folder), key=lambda entry: entry.name):
            if entry.is_file(follow_symlinks=False) and is_program(entry.path) and (wanted := names(entry.path)):
                real = f"{folder}/.{entry.name}-unwrapped"
                os.rename(entry.path, real)
                with open(entry.path, "w", encoding="utf-8") as file:
                    # -p: without BASH_ENV. What the user set counts, unless it is another environment's.
                    file.write(f"#!{CORE}/usr/bin/bash -p\n")
                    for name in sorted(wanted):
                        file.write(f"case ${{{name}:-/nix/store/}} in /nix/store/*) export {name}='{values[name]}' ;; esac\n")
                    file.write(f'exec -a "$0" {real} "$@"\n')
                os.chmod(entry.path, 0o755)
    given = {name: values[name] for name in sorted(shared) if values[name]}
    with open(f"{OUT}/nixgen-variables", "w", encoding="utf-8") as file:
        json.dump({"values": given, "lacking": {path: sorted(wanted) for path, wanted in sorted(lacking.items())}}, file)


def set_up():
    """Runs what a package of this tree, or of the base's for its files, has to be set up with."""
    for program, arguments in AFTERWARDS:
        programs = [path for tree in TREES for path in sorted(glob.glob(tree + program))]
        given = [path for argument in arguments for path in ([argument] if argument[:1] == "-" else sorted(glob.glob(OUT + argument)))]
        if programs and given and (programs[0].startswith(OUT) or given[0].startswith(OUT)):
            subprocess.run([programs[0], *given], check=True)


def is_program(path):
    """Whether a file is an ELF program."""
    with open(path, "rb") as file:
        facts = elf.read(file.read()) if elf.is_native(file.read(4)) and not file.seek(0) else None
    return facts is not None and (facts.program or (facts.started and not facts.dynamic))


def texts(paths):
    """In scripts and other texts, too, the paths of files that are in the trees become theirs."""
    trees = hostpaths.Trees(*TREES)
    for path in paths:
        # A linker script's paths are those below the sysroot.
        if os.path.getsize(path) > LARGEST_TEXT or (os.environ.get("toolchain") and LINKED.search(path)):
            continue
        with open(path, "rb") as file:
            content = file.read()
        if b"\0" in content or not (path.endswith(".pc") or hostpaths.paths(content)):
            continue
        first, newline, rest = content.partition(b"\n") if content[:2] == b"#!" else (b"", b"", content)
        # A setting for a package that is not here names a file that the machine may have.
        new = trees.replaced(rest, there=not path.startswith(f"{OUT}/etc/"))
        if path.endswith(".pc"):
            new = PREFIX.sub(rb"\1" + OUT.encode() + b"/usr", new)
        if new != rest:
            replace(path, first + newline + new, 0)


def fonts():
    """Programs see the fonts of this tree, and not those that another machine lacks."""
    path = f"{OUT}/etc/fonts/fonts.conf"
    if os.path.isfile(path):
        with open(path, "rb") as file:
            replace(path, FONTS.sub(b"", file.read()), 0)


def shebangs(paths):
    """A script whose interpreter is in the tree starts with that one."""
    for path in paths:
        with open(path, "rb") as file:
            head = file.read(2)
            if head != b"#!" or not os.access(path, os.X_OK):
                continue
            first, rest = (head + file.readline()).rstrip(b"\n"), file.read()
        words = first[2:].strip().split(None, 1)
        if words and os.path.basename(words[0]) == b"env":
            # What env would look for on the user's PATH is known, where it is in the tree.
            words = [b"/usr/bin/" + words[1].split()[0], *words[1].split(None, 1)[1:]] if words[1:] and words[1][:1] != b"-" else []
        if not words:
            continue
        for tree in TREES:
            if os.path.exists(tree + os.fsdecode(words[0])):
                words[0] = os.fsencode(tree) + words[0]
                replace(path, b"#!" + b" ".join(words) + b"\n" + rest)
                break


def time_zones(paths):
    """zoneinfo looks for time zones where sysconfig's TZPATH says: in this tree instead of on the host (PEP 615)."""
    for path in paths:
        if os.path.basename(path).startswith("_sysconfigdata_") and path.endswith(".py"):
            with open(path, encoding="utf-8") as file:
                text = file.read()
            text = re.sub(r"(?<='TZPATH': ')[^']*", f"{OUT}/usr/share/zoneinfo", text)
            with open(path, "w", encoding="utf-8") as file:
                file.write(text)


def find_library():
    """ctypes finds what the loader finds."""
    with open(f"{OUT}/usr/lib/{PYTHON}/ctypes/util.py", "a", encoding="utf-8") as file:
        file.write(libraries.FIND_LIBRARY)


def venv_hint():
    """What venv says where ensurepip is missing: Debian's advice is apt, which does not reach this tree."""
    path = f"{OUT}/usr/lib/{PYTHON}/venv/__init__.py"
    with open(path, encoding="utf-8") as file:
        text = file.read()
    text = re.sub(r"(?<=available\.  )On Debian/Ubuntu systems.*?(?=\nFailing command)", VENV_HINT, text, flags=re.DOTALL)
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)


def mark_as_managed():
    """Debian's Python says that it is managed (PEP 668), by apt; here it is by Nix."""
    marker = f"{OUT}/usr/lib/{PYTHON}/EXTERNALLY-MANAGED"
    if os.path.lexists(marker):
        os.unlink(marker)
    with open(os.environ["managed"], "rb") as source, open(marker, "wb") as file:
        file.write(source.read())


def compile_library(share):
    """Byte-compiles a share of the standard library."""
    for path in share:
        with open(path, "rb") as file:
            bytecode.write(file.read(), path, path.partition(f"/usr/lib/{PYTHON}/")[2])
    return []


def main():
    if os.environ.get("toolchain"):
        import toolchain

        toolchain.leave_out(OUT)
    usual_names()
    mend_links()
    paths = list(regular_files())
    own_c_library()
    if CORE == OUT:
        # Scripts ask for it, and the host's is another one on each machine, and in the sandbox none.
        if not os.path.lexists(f"{OUT}/usr/bin/sh"):
            os.symlink("bash", f"{OUT}/usr/bin/sh")
        mark_as_managed()
        find_library()
        venv_hint()
    set_variables(programs_and_libraries(paths))
    libraries.write(f"{OUT}/usr/lib", search_path(), elf.MACHINES[os.uname().machine])
    paths = list(regular_files())
    shebangs(paths)
    texts(paths)
    fonts()
    set_up()
    time_zones(paths)
    locales()
    # Links, too (sitecustomize.py is one): what has no byte code here, a Python run by root would write into the store.
    library = [os.path.join(folder, name) for folder, _, names in os.walk(f"{OUT}/usr/lib/{PYTHON}") for name in names]
    library = sorted(path for path in library if path.endswith(".py") and os.path.isfile(path))
    workers.spread(library, os.path.getsize, compile_library)
    if os.environ.get("toolchain"):
        toolchain.set_up(OUT, CORE, os.environ["python"])
    elif os.environ.get("beside"):
        import toolchain

        toolchain.join(OUT, os.environ["beside"])


if __name__ == "__main__":
    main()
