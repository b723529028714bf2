"""Builders that do not give the same bytes twice, and the check's own functions asked about them.

Run as a program (in the namespace whose /nix is the test's store), it does what its arguments say, and prints JSON.
"""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lab import Lab
    from support.nix import Nix

_HEAD = """
import os, random, sys, time, py_compile
out, here, cores = os.environ["out"], os.getcwd(), os.environ["NIX_BUILD_CORES"]
def write(text, path=""):
    with open(os.path.join(out, path) if path else out, "w") as file:
        file.write(text)
"""

BUILDERS = {
    "time": "time.sleep(1.1); write(time.ctime() + '\\n')",
    "cores": "write(cores + '\\n')",
    "buildpath": "write('built in ' + here + '/source\\n')",
    "order": "lines = [f'line {n}\\n' for n in range(40)]; random.shuffle(lines); write(''.join(lines))",
    "bytecode": (
        "time.sleep(1.1); open('m.py', 'w').write('X = 1\\n'); os.mkdir(out);"
        "py_compile.compile('m.py', out + '/m.pyc', 'm.py', invalidation_mode=py_compile.PycInvalidationMode.TIMESTAMP)"
    ),
    "same": "os.mkdir(out); write('always the same\\n', 'text')",
    "dependency": "os.mkdir(out); write(os.urandom(32).hex() + '\\n', 'number')",
    "refers": "os.mkdir(out); write(os.environ['on'] + '\\n', 'text')",
    "sometimes": "print('looks for something'); cores == os.environ['accepted'] or sys.exit(3); write('fine\\n')",
    "slow": "time.sleep(float(os.environ['lasts'])); write('slow\\n')",
    "held": """
for _ in range(6000):
    if os.path.exists('/held/enough'):
        break
    time.sleep(0.05)
write('held\\n')
""",
}


NO_SANDBOX = "--no-sandbox"


@dataclass(frozen=True)
class Differing:
    """One laboratory, its builders, and what the check's functions say of them."""

    lab: Lab
    cache: Path
    settings: Mapping[str, str] = field(default_factory=dict)
    options: tuple[str, ...] = ()

    @property
    def nix(self) -> Nix:
        self.builds.mkdir(parents=True, exist_ok=True)
        own = {"build_dir": str(self.builds)} if self.lab.nix.version > (2, 22) else {}
        nix = self.lab.nix.with_settings(**own, **self.settings)
        return nix.with_env(XDG_CACHE_HOME=str(self.cache), TMPDIR=str(self.builds))

    def with_settings(self, **settings: str) -> Differing:
        return dataclasses.replace(self, settings={**self.settings, **settings})

    def without_sandbox(self) -> Differing:
        """On a machine that can have none: nixgen asks for it."""
        return dataclasses.replace(self, options=(NO_SANDBOX,))

    def expression(self, name: str, builder: str = "", **attributes: Any) -> str:
        """The derivation of one of BUILDERS; ``attributes`` are more of its environment, as Nix."""
        code = json.dumps(_HEAD + BUILDERS[builder or name]).replace("${", "\\${")
        more = " ".join(f"{key} = {value};" for key, value in {"system": "base.system", **attributes}.items())
        return (
            f"let base = ({self.lab.expression()}).base; in derivation {{ name = {json.dumps(name)}; "
            'builder = "${base.python}/bin/python${base.version}"; PYTHONHOME = base.python; PYTHONHASHSEED = "0"; '
            f'args = [ "-S" "-s" "-c" {code} ]; {more} }}'
        )

    def built(self, expression: str) -> tuple[str, str]:
        """Builds it; (derivation, output)."""
        drv = self.drv(expression)
        return drv, self.nix.run("nix-store", "--realise", drv).stdout.split()[0]

    def drv(self, expression: str) -> str:
        return self.nix.run("nix-instantiate", "-E", expression).stdout.strip().partition("!")[0]

    def ask(self, *words: str | Path, check: bool = True) -> Any:
        """Runs this file as a program in the store's namespace; the JSON that it prints."""
        done = self.nix.with_env(**self.environ()).inside(*self.command(*words), check=check)
        return json.loads(done.stdout) if done.ok else done

    def rebuilt(self, name: str, built: tuple[str, str]) -> Any:
        """The verdict and the difference of one output that is built again."""
        (found,) = self.ask("rebuild", *self.options, f"{name}={built[0]}={built[1]}")
        return found

    def start(self, *words: str | Path) -> subprocess.Popen[bytes]:
        """Starts this file as a program in a session of its own; the process is the one that signals reach."""
        from support.nix import enter

        command = [*enter(self.nix.store), *self.command(*words)]
        environ = {**self.nix.environ(), **self.environ()}
        return subprocess.Popen(command, env=environ, start_new_session=True, stdout=subprocess.DEVNULL)

    def command(self, *words: str | Path) -> list[str]:
        return [sys.executable, __file__, *map(str, words)]

    def environ(self) -> dict[str, str]:
        from support.nix import ROOT

        return {"PYTHONPATH": str(ROOT), "NO_COLOR": "1"}

    def around(self, built: tuple[str, str]) -> set[str]:
        """What lies in the store beside a derivation and its output, and what builds and rebuilds keep."""
        names = tuple(Path(path).name for path in built)
        found = {path.name for path in self.nix.real("/nix/store").iterdir() if path.name.startswith(names)}
        return found | {path.name for folder in (self.builds, self.logs) for path in folder.glob("*")}

    @property
    def builds(self) -> Path:
        """Where Nix keeps the folders of builds, and nixgen what it needs for a while."""
        return self.cache / "builds"

    @property
    def logs(self) -> Path:
        """Where the logs of rebuilds are."""
        return self.cache / "nixgen/rebuild"


def _rebuild(words: list[str]) -> object:
    from nixgen.check.model import Recipe
    from nixgen.check.rebuild import rebuild_all
    from nixgen.nix.tools import Nix

    nix = Nix.here(options=("--option", "sandbox", "false") if NO_SANDBOX in words else ())
    parts = [word.split("=") for word in words if word != NO_SANDBOX]
    found = rebuild_all(nix, {name: Recipe(drv, out) for name, drv, out in parts}, lambda *_: None)
    return [dataclasses.asdict(one) for one in found]


def _closure(words: list[str]) -> object:
    """The closure of paths as it is on the disk."""
    from nixgen.check.closure import on_disk
    from nixgen.nix.tools import Nix

    nix = Nix.here()
    return {name: dataclasses.asdict(path) for name, path in on_disk(nix, nix.closure(words)).items()}


def _differences(words: list[str]) -> object:
    """FILE with the expected closure, the address of a store to copy from (maybe ""), and paths."""
    from nixgen.check.closure import on_disk
    from nixgen.check.explain.closures import differences
    from nixgen.check.model import ClosurePath
    from nixgen.nix.tools import Nix

    nix = Nix.here()
    raw = json.loads(Path(words[0]).read_text())
    expected = {name: ClosurePath(**{**path, "references": tuple(path["references"])}) for name, path in raw.items()}
    infos = nix.closure(words[2:])
    copy = Nix.here(words[1]) if words[1] else None
    return [dataclasses.asdict(one) for one in differences(nix, expected, on_disk(nix, infos), infos, copy)]


if __name__ == "__main__":
    sys.path.remove(str(Path(__file__).resolve().parent))
    asked = {"rebuild": _rebuild, "closure": _closure, "differences": _differences}[sys.argv[1]]
    print(json.dumps(asked(sys.argv[2:])))
