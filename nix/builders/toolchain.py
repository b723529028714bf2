"""Makes a tree with Debian's compilers build against itself and the base, never against the host.

gcc finds its own parts beside itself. What it does not find is said in its specs (GCC's manual, "Specifying Subprocesses
and the Switches to Pass to Them"), which it reads from its own folder: the tree is the sysroot, for headers and
libraries; programs get the base's loader and libraries, as those of wheels do; and what would make the bytes depend on
the machine is taken out or led to one name (``-march=native``, ``-g``, the store path in ``__FILE__``).

Python's headers and what sysconfig says of them are in this tree, so it has a Python of its own, the base's: a program,
and links to the base's standard library.
"""

import glob
import os
import re
import shutil
import subprocess

# gcc sees its options before these: what depends on the machine that builds is dropped, and debug information, which
# has store paths in it and is stripped from most wheels anyhow.
_SELF = (
    "--sysroot={out} %<march=native %<mtune=native %<mcpu=native -g0 "
    "-ffile-prefix-map={out}=/toolchain -ffile-prefix-map={core}=/base"
)
# Behind the loader that gcc names by itself.
_LINK = "%{{!shared:%{{!static:%{{!static-pie:%{{!r:-dynamic-linker {loader} -rpath {libs} --disable-new-dtags}}}}}}}}"

# 86 of 290 MB that nothing which is built here calls or links with.
_SPARE = (
    "usr/lib/python3*/config-*/libpython*.a",
    "usr/lib/*/libpython*.a",
    "usr/lib/gcc/*/*/lib*san*",
    "usr/lib/*/lib*san.so*",
    "usr/lib/*/gprofng",
    "usr/bin/*lto-dump*",
    "usr/bin/*gprof*",
    "usr/bin/*dwp",
)

# What tells where a library is: pkg-config's files, and scripts of its own (krb5-config).
_TELLING = ("share/pkgconfig/*.pc", "lib/*/pkgconfig/*.pc", "bin/*")
_TOLD = re.compile(rb"""(?m)(?<=-[IL])/usr/[A-Za-z0-9_.+@/-]+|(?<=prefix=)/usr$|(?<=prefix=["'])/usr(?=["']$)""", re.IGNORECASE)


def leave_out(out):
    """The first step."""
    for path in (path for pattern in _SPARE for path in sorted(glob.glob(f"{out}/{pattern}"))):
        if os.path.isdir(path) and not os.path.islink(path):
            shutil.rmtree(path)
        else:
            os.unlink(path)


def set_up(out, core, python):
    """The last step, when the tree's programs can run."""
    (libs,) = glob.glob(f"{core}/usr/lib/*-linux-gnu")
    (loader,) = glob.glob(f"{libs}/ld-linux*.so.*")
    triplet = os.path.basename(libs)
    _link_libraries(out, core, triplet, loader)
    for name, program in (("cc", "gcc"), ("c++", "g++")):
        if not os.path.lexists(f"{out}/usr/bin/{name}"):
            os.symlink(program, f"{out}/usr/bin/{name}")
    (folder,) = glob.glob(f"{out}/usr/lib/gcc/{triplet}/[0-9]*")
    specs = subprocess.run([f"{out}/usr/bin/gcc", "-dumpspecs"], check=True, capture_output=True, text=True).stdout
    places = {"out": out, "core": core, "loader": loader, "libs": libs}
    specs = _changed(specs, "self_spec", lambda line: f"{line} {_SELF.format(**places)}")
    specs = _changed(specs, "link", lambda line: f"%(sysroot_spec) {line} {_LINK.format(**places)}")
    with open(f"{folder}/specs", "w", encoding="utf-8") as file:
        file.write(specs)
    _python(out, core, python)


def join(out, beside):
    """Makes what a tree of libraries tells of them true, and its compilers work beside those that all builds have."""
    _lead_told(out)
    _more_compilers(out, beside)


def _lead_told(out):
    """Prefixes and folders behind -I and -L become this tree's: h5py finds HDF5 by them, gssapi a header of Kerberos."""
    tree = os.fsencode(out)
    for path in (path for pattern in _TELLING for path in sorted(glob.glob(f"{out}/usr/{pattern}"))):
        if os.path.islink(path) or not os.path.isfile(path):
            continue
        with open(path, "rb") as file:
            content = file.read()
        new = _TOLD.sub(lambda hit: tree + hit[0] if os.path.isdir(tree + hit[0]) else hit[0], content)
        if new != content and b"\0" not in content:
            mode = os.stat(path).st_mode
            os.unlink(path)
            with open(path, "wb") as file:
                file.write(new)
            os.chmod(path, mode)


def _more_compilers(out, beside):
    """A compiler more (gfortran) in a tree of its own finds what all have: by links at the places where gcc looks first."""
    for folder in glob.glob(f"{beside}/usr/lib*/gcc/*/[0-9]*"):
        if os.path.isdir(out + folder.removeprefix(beside)):
            break
    else:
        return
    triplet, number = folder.split("/")[-2:]
    for place in ("lib", "libexec"):
        _link_tree(f"{beside}/usr/{place}/gcc/{triplet}/{number}", f"{out}/usr/{place}/gcc/{triplet}/{number}")
    # Of what it starts and links programs with, gcc knows the sysroot's place only where the command line names that.
    for path in sorted(glob.glob(f"{beside}/usr/lib/{triplet}/*.*")):
        place = f"{out}/usr/lib/{triplet}/{os.path.basename(path)}"
        if path.endswith((".o", ".a", ".so")) and not os.path.lexists(place):
            os.symlink(path, place)


def _changed(specs, name, change):
    """The specs with the line of one of them changed; Debian's gcc has each on one line."""
    changed, count = re.subn(rf"(?m)^(\*{name}:\n)(.*)$", lambda found: found[1] + change(found[2]), specs)
    if count != 1:
        raise SystemExit(f"gcc's specs are not as this builder knows them: {name} is there {count} times")
    return changed


def _link_libraries(out, core, triplet, loader):
    """The base's libraries at the places where linker scripts and ``-l`` look for them in the sysroot."""
    for path in sorted(glob.glob(f"{core}/usr/lib/{triplet}/*.so*")):
        place = f"{out}/usr/lib/{triplet}/{os.path.basename(path)}"
        if not os.path.lexists(place):
            os.symlink(path, place)
    for place in (f"{out}/usr/lib64/{os.path.basename(loader)}", f"{out}/usr/lib/{os.path.basename(loader)}"):
        if not os.path.lexists(place):
            os.symlink(loader, place)


def _python(out, core, python):
    """The base's Python, with this tree as its prefix."""
    name = f"python{python}"
    shutil.copy2(f"{core}/usr/bin/{name}", f"{out}/usr/bin/{name}")
    os.symlink(name, f"{out}/usr/bin/python3")
    _link_tree(f"{core}/usr/lib/{name}", f"{out}/usr/lib/{name}")
    for path in glob.glob(f"{out}/usr/lib/{name}/_sysconfigdata_*.py"):
        with open(path, encoding="utf-8") as file:
            text = file.read()
        os.unlink(path)
        with open(path, "w", encoding="utf-8") as file:
            file.write(re.sub(r"(?<=['\" =])/usr/(?=include|lib)", f"{out}/usr/", text))
        for compiled in glob.glob(f"{os.path.dirname(path)}/__pycache__/_sysconfigdata_*"):
            os.unlink(compiled)


def _link_tree(source, target):
    """Links to what is in a folder of the base and not here; folders that both have, and byte code, are real ones."""
    os.makedirs(target, exist_ok=True)
    for name in sorted(os.listdir(source)):
        inner, place = f"{source}/{name}", f"{target}/{name}"
        if os.path.isdir(inner) and (name == "__pycache__" or os.path.isdir(place)):
            _link_tree(inner, place)
        elif not os.path.lexists(place):
            os.symlink(inner, place)
