"""pylock.toml (PEP 751) of another tool in the place of uv.lock: what is read, what is refused, what uv makes of it."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.index import Index, serve
from support.initproject import runner
from support.resolving import resolved
from support.wheels import make_wheel, sha256

from nixgen.errors import UserError
from nixgen.generate import why
from nixgen.project.project import find_project
from nixgen.resolve import environments, uv
from nixgen.resolve.model import Target

SHA = "0" * 63 + "1"
HEAD = 'lock-version = "1.0"\ncreated-by = "a test"\n'
LINUX = Target("x86_64-linux", "3.12")
MAC = Target("aarch64-darwin", "3.12")


def wheel(name: str, version: str = "1.0", tag: str = "py3-none-any", more: str = "") -> str:
    file = f"{name}-{version}-{tag}.whl"
    return (
        f'\n[[packages]]\nname = "{name}"\nversion = "{version}"\n{more}'
        f'wheels = [{{ url = "https://files.example.org/{file}", size = 10, hashes = {{ sha256 = "{SHA}" }} }}]\n'
    )


def make(root: Path, packages: str, head: str = "", pyproject: str = "", name: str = "pylock.toml") -> Path:
    root.mkdir(exist_ok=True)
    (root / name).write_text(HEAD + head + packages)
    if pyproject:
        (root / "pyproject.toml").write_text(pyproject)
    return root


def refused(root: Path) -> list[str]:
    with pytest.raises(UserError) as caught:
        find_project(root)
    return [str(problem) for problem in caught.value.problems]


def names(root: Path, target: Target = LINUX) -> list[str]:
    found = resolved(root, target)
    assert found.problems == ()
    return [package.name for package in found.packages]


def test_a_folder_with_a_pylock_alone_is_a_project(tmp_path: Path) -> None:
    root = make(tmp_path, wheel("plain"), 'requires-python = ">=3.12"\n')
    project = find_project(root)
    assert (project.lock, project.requires_python, project.has_lock) == ("pylock.toml", ">=3.12", True)
    (package,) = resolved(root, LINUX).packages
    assert (package.url, package.sha256, package.size) == (
        "https://files.example.org/plain-1.0-py3-none-any.whl", SHA, 10,
    )  # fmt: skip
    with pytest.raises(UserError, match="does not allow the Python"):
        resolved(root, Target("x86_64-linux", "3.11"))


def test_markers_and_requires_python_of_packages(tmp_path: Path) -> None:
    packages = wheel("linux", more="marker = \"sys_platform == 'linux'\"\n") + wheel(
        "mac", more="marker = \"sys_platform == 'darwin' and python_full_version >= '3.12'\"\n"
    )
    root = make(tmp_path, packages)
    assert (names(root), names(root, MAC)) == (["linux"], ["mac"])
    make(tmp_path, wheel("late", more='requires-python = ">=3.13"\n'))
    (problem,) = resolved(root, LINUX).problems
    assert (problem.where, problem.what.partition(",")[0]) == ("late", "is locked for Python >=3.13")


def test_two_versions_for_one_target_are_ambiguous(tmp_path: Path) -> None:
    root = make(tmp_path, wheel("plain") + wheel("plain", "2.0", more="marker = \"sys_platform == 'linux'\"\n"))
    (problem,) = resolved(root, LINUX).problems
    assert problem.what == "is locked twice for this target: 1.0 and 2.0"
    assert problem.mend.endswith("write pylock.toml again with the tool that made it")
    assert resolved(root, MAC).problems == ()


def test_environments_of_the_lock(tmp_path: Path) -> None:
    root = make(tmp_path, wheel("plain"), "environments = [\"sys_platform == 'linux'\"]\n")
    assert names(root) == ["plain"]
    (problem,) = resolved(root, MAC).problems
    assert problem.where == "pylock.toml"
    assert problem.what == "is not made for this system, but for sys_platform == 'linux' (environments)"


GROUPS = 'extras = ["fast", "x"]\ndependency-groups = ["dev", "docs"]\ndefault-groups = ["dev"]\n'
CHOICES = (
    wheel("always")
    + wheel("quick", more="marker = \"'fast' in extras\"\n")
    + wheel("tester", more="marker = \"'dev' in dependency_groups\"\n")
    + wheel("writer", more="marker = \"'docs' in dependency_groups or 'x' in extras\"\n")
)


@pytest.mark.parametrize(
    ("settings", "found"),
    [
        ("", ["always", "tester"]),
        ("groups = []", ["always"]),
        ('groups = ["Docs"]', ["always", "writer"]),
        ('extras = ["Fast"]', ["always", "quick", "tester"]),
        ("all-extras = true\ngroups = []", ["always", "quick", "writer"]),
    ],
)
def test_extras_and_groups_of_the_lock(tmp_path: Path, settings: str, found: list[str]) -> None:
    assert names(make(tmp_path, CHOICES, GROUPS, f"[tool.nixgen]\n{settings}\n")) == found


def test_an_extra_that_the_lock_does_not_have(tmp_path: Path) -> None:
    root = make(tmp_path, CHOICES, GROUPS, '[tool.nixgen]\nextras = ["slow"]\ngroups = ["test"]\n')
    with pytest.raises(UserError) as caught:
        resolved(root, LINUX)
    assert [(one.where, one.what) for one in caught.value.problems] == [
        ("pyproject.toml: tool.nixgen.extras", "pylock.toml was locked without slow; it has: fast, x"),
        ("pyproject.toml: tool.nixgen.groups", "pylock.toml was locked without test; it has: dev, docs"),
    ]


KINDS = f"""
[[packages]]
name = "checkout"
vcs = {{ type = "git", url = "https://git.example.org/x.git", commit-id = "{"a" * 40}", subdirectory = "py" }}

[[packages]]
name = "folder"
directory = {{ path = "libs/folder", editable = true }}

[[packages]]
name = "here"
version = "1.0"
wheels = [{{ path = "vendor/here-1.0-py3-none-any.whl", hashes = {{ sha256 = "{SHA}" }} }}]

[[packages]]
name = "packed"
archive = {{ url = "https://files.example.org/packed.zip", subdirectory = "in", hashes = {{ sha256 = "{SHA}" }} }}

[[packages]]
name = "source"
version = "1.0"

[packages.sdist]
url = "https://files.example.org/source-1.0.tar.gz"
hashes = {{ sha512 = "{"0" * 128}", sha256 = "{SHA.upper()}" }}
"""


def test_every_kind_of_source(tmp_path: Path) -> None:
    (tmp_path / "libs/folder").mkdir(parents=True)
    found = {package.name: package for package in resolved(make(tmp_path, KINDS), LINUX).packages}
    assert [(name, one.kind) for name, one in found.items()] == [
        ("checkout", "vcs"), ("folder", "directory"), ("here", "wheel"), ("packed", "archive"), ("source", "sdist"),
    ]  # fmt: skip
    assert str(found["checkout"].git) == f"git+https://git.example.org/x.git@{'a' * 40}#subdirectory=py"
    assert found["folder"].path == "libs/folder"
    assert found["here"].path == "vendor/here-1.0-py3-none-any.whl"
    assert (found["packed"].subdirectory, found["packed"].sha256) == ("in", SHA)
    assert found["source"].sha256 == SHA


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("a = [", "pylock.toml: is not TOML that can be read"),
        ('lock-version = "2.0"\n', "pylock.toml: lock-version: '2.0' is not a version that this nixgen knows"),
        (HEAD + "[[packages]]\nversion = '1'\n", "pylock.toml: packages[0].name: is against the specification"),
        (HEAD + wheel("x", more='marker = "nonsense"\n'), "pylock.toml: packages[0].marker: is against"),
        (HEAD + wheel("x").replace("sha256", "sha512"), "pylock.toml: packages[0].wheels[0]: x has no SHA-256 here"),
        (
            HEAD + wheel("x").replace("//files", "//ann:secret@files"),
            "pylock.toml: carries credentials in https://***@",
        ),
    ],
)
def test_what_is_no_lock_is_refused_with_its_place(tmp_path: Path, text: str, told: str) -> None:
    (tmp_path / "pylock.toml").write_text(text)
    assert told in refused(tmp_path)[0]


def test_which_lock_counts(tmp_path: Path) -> None:
    root = make(tmp_path, wheel("named"), name="pylock.web.toml")
    assert names(root) == ["named"]
    make(tmp_path, wheel("other"), name="pylock.batch.toml")
    assert refused(root) == [
        "pyproject.toml: tool.nixgen.lock: is needed, since there are several locks: pylock.batch.toml, "
        'pylock.web.toml\n  hint: lock = "pylock.batch.toml"'
    ]
    make(tmp_path, wheel("plain"))
    assert names(root) == ["plain"]
    make(tmp_path, wheel("plain"), pyproject='[tool.nixgen]\nlock = "pylock.web.toml"\n')
    assert names(root) == ["named"]
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "x"\nversion = "1"\n')
    (tmp_path / "uv.lock").write_text("version = 1\n")
    assert find_project(root).lock == "uv.lock"
    (tmp_path / "pyproject.toml").write_text('[tool.nixgen]\nlock = "pylock.gone.toml"\n')
    assert refused(root) == ["pylock.gone.toml: is missing\n  hint: lock with the tool that makes it"]


def test_an_environment_has_a_lock_of_its_own(tmp_path: Path) -> None:
    make(tmp_path, wheel("batch"), name="pylock.batch.toml")
    pyproject = '[tool.nixgen.environments.batch]\nlock = "pylock.batch.toml"\n'
    project = find_project(make(tmp_path, wheel("plain"), pyproject=pyproject))
    served, _ = environments.select(project, environments.export(project, {}), [LINUX], "2.36", {})
    assert [(one.environment, [package.name for package in one.packages]) for one in served] == [
        ("", ["plain"]), ("batch", ["batch"]),
    ]  # fmt: skip


def test_why_needs_the_lock_of_uv(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="does not say what requires what"):
        why.why(find_project(make(tmp_path, wheel("plain"))), "plain", [LINUX])


def test_init_of_a_pylock_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = make(tmp_path / "web", wheel("plain"))
    said = runner(capsys)(root, ci="none")
    assert "The lock is pylock.toml (a test)." in said
    assert (root / "pyproject.toml").read_text() == '[tool.nixgen]\nbase = "nixpkgs"\npython = "3.14"\n'
    assert re.search(r'"pylock.toml" = "[0-9a-f]{64}";', (root / "default.nix").read_text())
    assert "/pylock.toml -text" in (root / ".gitattributes").read_text().splitlines()
    assert not (root / "uv.lock").exists()
    assert runner(capsys)(root, ci="none")[-1] == "Everything is up to date."


@pytest.fixture
def index(tmp_path: Path) -> Iterator[Index]:
    folder = tmp_path / "index"
    for name, tag in (("plain", "py3-none-any"), ("quick", "py3-none-any"), ("tester", "py3-none-any")):
        make_wheel(folder, name, "1.0", tag=tag)
    for tag in ("cp311-cp311-manylinux_2_17_x86_64", "cp311-abi3-manylinux_2_28_x86_64", "py3-none-macosx_11_0_arm64"):
        make_wheel(folder, "native", "2.0", tag=tag)
    with serve(folder) as served:
        yield served


@pytest.mark.parametrize("words", [(), ("--extra=fast",), ("--group=dev", "--extra=fast")])
@pytest.mark.parametrize("system", ["x86_64-linux", "aarch64-darwin"])
def test_uv_would_install_the_same(tmp_path: Path, index: Index, words: tuple[str, ...], system: str) -> None:
    text = HEAD + 'extras = ["fast"]\ndependency-groups = ["dev"]\n'
    markers = {"quick": "'fast' in extras", "tester": "'dev' in dependency_groups"}
    for name, version in (("native", "2.0"), ("plain", "1.0"), ("quick", "1.0"), ("tester", "1.0")):
        marker = f'marker = "{markers[name]}"\n' if name in markers else ""
        files = "".join(
            f'    {{ url = "{index.url(path)}", hashes = {{ sha256 = "{sha256(path)}" }} }},\n'
            for path in sorted(index.folder.glob(f"{name}-*"))
        )
        text += f'\n[[packages]]\nname = "{name}"\nversion = "{version}"\n{marker}wheels = [\n{files}]\n'
    root = tmp_path / "project"
    root.mkdir()
    (root / "pylock.toml").write_text(text)
    extras = ["fast"] if "--extra=fast" in words else []
    groups = ["dev"] if "--group=dev" in words else []
    (root / "pyproject.toml").write_text(f"[tool.nixgen]\nextras = {extras}\ngroups = {groups}\n")
    ours = resolved(root, Target(system, "3.11"), glibc="2.40")
    platform = {"x86_64-linux": "x86_64-manylinux_2_40", "aarch64-darwin": "aarch64-apple-darwin"}[system]
    with uv.nowhere() as nowhere:
        python = uv.stand_in(nowhere, "3.11.9")
        command = [uv.binary(), "pip", "sync", "--dry-run", "--preview", f"--python={python}", *words]
        command += ["--target=there", f"--python-platform={platform}", "--python-version=3.11", "pylock.toml"]
        environment = {key: value for key, value in uv.offline_environment(nowhere).items() if key != "UV_OFFLINE"}
        done = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    theirs = re.findall(r"^ \+ ([\w-]+)==(\S+)", done.stderr, re.MULTILINE)
    assert [(package.name, package.version) for package in ours.packages] == sorted((n, v) for n, v in theirs)
