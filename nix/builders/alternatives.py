"""Gives programs and libraries the usual names that Debian gives them with update-alternatives: vi, awk, libblas.so.3.

A package asks for its names in its postinst, a shell script (Debian Policy, section 6.5; update-alternatives(1)). The
script is run by a restricted bash (its manual, "The Restricted Shell") that finds no program at all: it can neither
start one nor write a file, names that it asks for are printed by a function, and every other command does nothing.
Where it asks whether a file exists, it is told of the trees, not of the machine.
"""

import os
import re
import subprocess
import tempfile

_FUNCTIONS = r"""
update-alternatives() {
  case " $* " in *" --install "*) printf '\1%s' "$@"; printf '\2' ;; *) return 1 ;; esac
}
command_not_found_handle() { return 0; }
dpkg() { case "$1" in --print-architecture) echo "$DPKG_MAINTSCRIPT_ARCH" ;; *) return 1 ;; esac }
test() { [ "$@" ]; }
[() {
  local given=() word before= tree
  for word in "$@"; do
    case $before$word in
      -[bcdefghLprsSuwx]/*) for tree in $trees; do builtin test -L "$tree$word" -o -e "$tree$word" && break; done; word=$tree$word ;;
    esac
    given+=("$word") before=$word
  done
  builtin [ "${given[@]}"
}
"""
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
_SHELL = re.compile(rb"#! ?/bin/(?:sh|bash|dash)\b")
# What a restricted shell would refuse, and what would end the script at the first command that it does not have.
_LEFT_OUT = re.compile(rb"\d*&?>+ ?(?:/dev/null|&\d)|^[ \t]*set -\w+[ \t]*$", re.MULTILINE)


def asked(scripts, bash, trees):
    """What the postinst scripts ask for: {link: (priority, path)}, for each link what Debian would choose by itself."""
    given = {}
    with tempfile.TemporaryDirectory() as folder:
        functions, script = f"{folder}/functions", f"{folder}/postinst"
        with open(functions, "w", encoding="utf-8") as file:
            file.write(_FUNCTIONS)
        environment = {
            "PATH": folder,
            "BASH_ENV": functions,
            "DPKG_MAINTSCRIPT_ARCH": _ARCHITECTURES[os.uname().machine],
            "trees": " ".join(trees),
        }
        for path in scripts:
            with open(path, "rb") as file:
                content = file.read()
            if b"update-alternatives" not in content or not _SHELL.match(content):
                continue
            with open(script, "wb") as file:
                file.write(_LEFT_OUT.sub(b"", content))
            done = subprocess.run([*bash, "-rf", script, "configure", ""], env=environment, stdin=subprocess.DEVNULL, capture_output=True, check=False)
            for words in re.findall(rb"\x01([^\x02]*)\x02", done.stdout):
                for name, choice in _choices(os.fsdecode(words).split("\x01")):
                    given.setdefault(name, set()).add(choice)
    found = None
    while found != (found := _there(given, found or {}, trees)):
        pass
    return found


def _there(given, found, trees):
    """For each link the best choice of those that a tree has, or that are such links themselves (editor is emacs)."""
    there = {
        name: [choice for choice in choices if choice[1] in found or any(os.path.lexists(tree + choice[1]) for tree in trees)]
        for name, choices in given.items()
    }
    return {name: max(choices) for name, choices in there.items() if choices}


def _choices(words):
    """The links of one call, its own and its slaves', each with its priority and path."""
    given = words[words.index("--install") + 1 :]
    priority = int(given[3]) if re.fullmatch(r"-?\d+", "".join(given[3:4])) else 0
    links = [given[:3], *(given[at + 1 : at + 4] for at, word in enumerate(given) if word == "--slave")]
    for link, _, path in (words for words in links if len(words) == 3):
        if link.startswith("/") and path.startswith("/") and link != path:
            yield link, (priority, path)


def link(out, scripts, bash, trees):
    """Makes the links in ``out``; they lead to paths of the machine's, as those of packages do."""
    for name, (_, path) in sorted(asked(scripts, bash, trees).items()):
        if not os.path.lexists(out + name) and ".." not in name.split("/"):
            os.makedirs(os.path.dirname(out + name), exist_ok=True)
            os.symlink(path, out + name)
