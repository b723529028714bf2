"""Fetches one commit of a git repository with its submodules into a folder without .git.

What is in the folder depends on the commit alone: neither settings of git nor attributes of the machine have a part in
it. `nixgen lock` runs this with the machine's git and its logins, and the sandbox with the base's git and without any.

Arguments: the program git, the address, the commit (40 hexadecimal digits). Input, as environment variables: out (the
folder, which is made), project (whose source it is, for messages), sandbox (where it is one). Output: the folder, and
the commit's time on stdout. What went wrong is two lines on stderr, what and what to type, with exit code 3.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile

KNOWN = 3
_LFS_POINTERS = b"filter=lfs"
# Neither the user's settings nor the machine's: for all that does not speak to a server.
_ALONE = {"GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_SYSTEM": "/dev/null", "GIT_CONFIG_NOSYSTEM": "1", "GIT_ATTR_NOSYSTEM": "1"}
_PLAIN = (
    *("core.attributesFile=/dev/null", "core.autocrlf=false", "core.eol=lf", "core.fileMode=true", "core.fsmonitor=false"),
    *("core.hooksPath=/dev/null", "core.precomposeUnicode=false", "core.symlinks=true", "advice.detachedHead=false"),
)
# What `git lfs install` writes, which not every machine has; all files, whatever the repository would leave out.
_LFS = (
    *("filter.lfs.clean=git-lfs clean -- %f", "filter.lfs.smudge=git-lfs smudge -- %f", "filter.lfs.process=git-lfs filter-process"),
    *("filter.lfs.required=true", "lfs.fetchexclude=", "lfs.fetchinclude="),
)
# A server that sends nothing for a minute is given up.
_PATIENT = ("http.lowSpeedLimit=1", "http.lowSpeedTime=60", "gc.auto=0", "maintenance.auto=false")
_LOGIN = re.compile(
    r"could not read (Username|Password)|terminal prompts disabled|Authentication failed|Access denied|"
    r"Permission denied|Host key verification failed|returned error: 40[13]",
)
_GONE = re.compile(r"[Rr]epository (\S+ )?not found|does not appear to be a git repository|does not exist|returned error: 404")
_AWAY = re.compile(r"Could not resolve host|Failed to connect|Couldn't connect|Connection (refused|reset|timed out)|timed out|Could not read from remote")


class Failed(Exception):
    """What went wrong, and what to type."""


class Git:
    """The program, and a git directory of its own for each repository."""

    def __init__(self, program, top):
        self.program, self.top, self.count = program, top, 0
        # What a hook or an alias of git's sets for itself would lead to another repository.
        local = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY", "GIT_ALTERNATE_OBJECT_DIRECTORIES", "GIT_COMMON_DIR", "GIT_NAMESPACE", "GIT_PREFIX", "GIT_SHALLOW_FILE", "GIT_CONFIG")
        given = {key: value for key, value in os.environ.items() if key not in local}
        self.env = {**given, "LC_ALL": "C", "LANGUAGE": "C", "GIT_TERMINAL_PROMPT": "0", "GIT_DEFAULT_HASH": "sha1", "GIT_LFS_SKIP_SMUDGE": "1"}

    def run(self, words, settings=(), *, env=None, data=None, cwd=None):
        command = [self.program, *(word for setting in settings for word in ("-c", setting)), *words]
        return subprocess.run(command, cwd=cwd or self.top, env={**self.env, **(env or {})}, input=data if data is not None else b"", capture_output=True, check=False)

    def out(self, words, settings=_PLAIN, *, env=None, data=None, cwd=None):
        """What a command prints that speaks to no server."""
        done = self.run(words, settings, env={**_ALONE, **(env or {})}, data=data, cwd=cwd)
        if done.returncode:
            raise Failed(f"git {' '.join(words[:1])} failed: {last(done.stderr)}", "report it, with the address")
        return done.stdout

    def begin(self):
        """An empty git directory."""
        self.count += 1
        folder = f"{self.top}/{self.count}.git"
        self.out(["init", "--quiet", "--bare", "--template=", folder])
        return {"GIT_DIR": folder}


def last(text):
    """The line of git's that says why."""
    lines = [line for line in text.decode("utf-8", "replace").splitlines() if line.strip()]
    said = [line for line in lines if line.startswith(("fatal:", "error:", "ERROR:", "remote: "))] or lines or ["it says nothing"]
    return said[0].partition(": ")[2] or said[0]


def fetch(git, url, commit, where):
    """Gets the commit: alone where the server gives it so, else with all that leads to branches and tags."""
    words = ["fetch", "--quiet", "--no-tags", "--no-recurse-submodules", "--no-write-fetch-head"]
    done = git.run([*words, "--depth=1", "--", url, commit], _PATIENT, env=where)
    if done.returncode == 0:
        return
    refuse(url, done.stderr)
    whole = git.run([*words, "--", url, "+refs/*:refs/nixgen/*"], _PATIENT, env=where)
    if whole.returncode:
        refuse(url, whole.stderr)
        raise Failed(f"{url} cannot be fetched: {last(whole.stderr)}", f"see what git says: git ls-remote {url}")
    if git.run(["cat-file", "-e", f"{commit}^{{commit}}"], env={**where, **_ALONE}).returncode:
        raise Failed(f"{url} has no commit {commit} any more", f"uv lock --upgrade-package {os.environ['project']}")


def refuse(url, said):
    """Raises where another way to ask gets the same answer."""
    text = said.decode("utf-8", "replace")
    for pattern, what in ((_LOGIN, "asks for a login that git does not have"), (_GONE, "is gone, or private"), (_AWAY, "cannot be reached")):
        if pattern.search(text):
            raise Failed(f"{url} {what}: {last(said)}", f"see what git says: git ls-remote {url}")


def check_out(git, url, commit, folder):
    """Fills the folder with a commit and its submodules; the commit's time."""
    where = git.begin()
    fetch(git, url, commit, where)
    where = {**where, "GIT_WORK_TREE": folder}
    os.makedirs(folder, exist_ok=True)
    git.out(["checkout", "--quiet", "--force", "--detach", commit], env=where, cwd=folder)
    if listed := asked_of_lfs(git, where, folder):
        fill_in(git, url, commit, where, folder, listed)
    modules = submodules(git, folder)
    for entry in git.out(["ls-tree", "-r", "-z", commit], env=where).split(b"\0"):
        head, _, path = entry.partition(b"\t")
        if not head.startswith(b"160000 "):
            continue
        path, inner = os.fsdecode(path), head.split()[2].decode()
        module = modules.get(path, {})
        if module.get("update") == "none" or "url" not in module:
            continue
        place = f"{folder}/{path}"
        if os.path.realpath(place) != f"{os.path.realpath(folder)}/{path}":
            raise Failed(f"{url}: its submodule {path} lies behind a link", "report it to its authors")
        # As git itself: a repository does not choose to read from this machine's disk.
        git.env["GIT_PROTOCOL_FROM_USER"] = "0"
        check_out(git, address(url, module["url"]), inner, place)
    return int(git.out(["log", "-1", "--format=%ct", commit], ("log.showSignature=false",), env=where))


def submodules(git, folder):
    """What .gitmodules says, by path."""
    file = f"{folder}/.gitmodules"
    if os.path.islink(file) or not os.path.isfile(file):
        return {}
    found = {}
    for entry in filter(None, git.out(["config", "-z", "-f", file, "--list"]).split(b"\0")):
        key, _, value = os.fsdecode(entry).partition("\n")
        section, _, rest = key.partition(".")
        name, dot, key = rest.rpartition(".")
        if section == "submodule" and dot:
            found.setdefault(name, {})[key] = value
    return {module["path"].rstrip("/"): module for module in found.values() if "path" in module}


def address(base, url):
    """A submodule's address, which may be relative to that of its repository (gitmodules(5))."""
    if not url.startswith(("./", "../")):
        return url
    base, joint = base.rstrip("/"), "/"
    while url.startswith(("./", "../")):
        if url.startswith("../"):
            cut = max(base.rfind("/"), base.rfind(":"))
            base, joint = base[:cut], base[cut : cut + 1] or "/"
        url = url.partition("/")[2]
    return f"{base}{joint}{url}"


def asked_of_lfs(git, where, folder):
    """The files that are kept in Git LFS."""
    says = False
    for parent, folders, files in os.walk(folder):
        if ".gitattributes" in files and not os.path.islink(f"{parent}/.gitattributes"):
            with open(f"{parent}/.gitattributes", "rb") as file:
                says = says or _LFS_POINTERS in file.read()
    if not says:
        return []
    names = git.out(["ls-files", "-z"], env=where, cwd=folder)
    words = git.out(["check-attr", "-z", "--stdin", "filter"], env=where, data=names, cwd=folder).split(b"\0")
    return [os.fsdecode(name) for name, value in zip(words[::3], words[2::3], strict=False) if value == b"lfs"]


def fill_in(git, url, commit, where, folder, listed):
    """Puts files of Git LFS in the place of their pointers."""
    what = f"{url} keeps {listed[0]}{' and others' if len(listed) > 1 else ''} in Git LFS"
    if os.environ.get("sandbox") or not shutil.which("git-lfs"):
        raise Failed(f"{what}, and there is no git-lfs", "install git-lfs, then: nixgen sync")
    git.run(["config", "remote.origin.url", url], env=where)
    for words in (["lfs", "fetch", "origin", commit], ["lfs", "checkout"]):
        done = git.run(words, (*_PATIENT, *_LFS), env=where, cwd=folder)
        if done.returncode:
            raise Failed(f"{what}, which cannot be fetched: {last(done.stderr)}", f"see what git says: git ls-remote {url}")
    for name in listed:
        with open(f"{folder}/{name}", "rb") as file:
            if file.read(64).startswith(b"version https://git-lfs.github.com/spec/"):
                raise Failed(f"{what}, which has no {name}", f"see what git says: git ls-remote {url}")


def main():
    program, url, commit = sys.argv[1:]
    os.umask(0o022)
    try:
        with tempfile.TemporaryDirectory(prefix="nixgen-git-") as top:
            if os.environ.get("sandbox"):
                os.environ.update(_ALONE, HOME=top, PATH="/no-programs", GIT_SSL_NO_VERIFY="1")
                if not url.startswith(("https://", "http://", "git://")):
                    raise Failed(f"{url} cannot be fetched in Nix's sandbox", "")
            print(check_out(Git(program, top), url, commit, os.environ["out"]))
    except Failed as failure:
        what, hint = failure.args
        if os.environ.get("sandbox"):
            hint = f"Where git may read it, `nixgen lock` puts it into the store: {os.environ['project']} at {commit}"
        print(f"{what}\n{hint}", file=sys.stderr)
        sys.exit(KNOWN)


if __name__ == "__main__":
    main()
