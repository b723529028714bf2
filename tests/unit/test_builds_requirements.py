"""Which wheels fulfil what a build requires: uv's answer, from a package index on loopback."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from support.gitserver import Repository
from support.index import Index, serve
from support.sdists import make_sdist
from support.wheels import make_wheel, sha256

from nixgen.builds.requirements import Answer, Known, LackingError, Question, Resolver, pinnable, settings
from nixgen.errors import MachineError, UserError
from nixgen.machine import download
from nixgen.project.project import find_project
from nixgen.resolve import logins
from nixgen.resolve.model import Git, Package, Target

Serve = Callable[..., Index]
LINUX, ARM = Target("x86_64-linux", "3.11", "3.11.2"), Target("aarch64-linux", "3.11", "3.11.2")
LATER = "2023-10-31T00:00:00+00:00"


def resolver(root: Path, more: str = "", wishes: tuple[str, ...] = (), **how: object) -> Resolver:
    root.mkdir(exist_ok=True)
    (root / "pyproject.toml").write_text(f'[project]\nname = "demo"\nversion = "1"\n{more}')
    constraints = how.get("constraints", ())
    assert isinstance(constraints, tuple)
    return Resolver(
        *(find_project(root, lock=False), "2.36", "14.0", constraints, wishes), fixed=bool(how.get("fixed", False))
    )


def of(index: Index) -> str:
    return f'[[tool.uv.index]]\nname = "loopback"\nurl = "{index.simple}"\ndefault = true\n'


def ask(
    one: Resolver, *requires: str, target: Target = LINUX, newest: str = "", known: Mapping[str, tuple[str, ...]] = {}
) -> Answer:
    return one.answer(Question(requires, target, newest), Known(known))


def files(answer: Answer) -> list[str]:
    return [wheel.file for wheel in answer.wheels]


@pytest.fixture
def served(index: Serve, tmp_path: Path) -> Index:
    """Tools to build with: setuptools of two versions, a compiled one, and one that needs another."""
    folder = tmp_path / "served"
    for version in ("70.0", "80.0"):
        make_wheel(folder, "setuptools", version)
    for tag in ("manylinux_2_28_x86_64", "manylinux_2_28_aarch64", "manylinux_2_39_x86_64"):
        make_wheel(folder, "fast", "1.0", tag=f"cp311-cp311-{tag}")
    make_wheel(folder, "fast", "2.0", tag="cp311-cp311-manylinux_2_39_x86_64")
    make_wheel(folder, "scm", "1.0", requires=["setuptools<75", "fast; platform_machine == 'aarch64'"])
    return index(folder)


def test_wheels_with_their_hashes_for_each_target(served: Index, tmp_path: Path) -> None:
    one = resolver(tmp_path / "demo", of(served))
    (found,) = ask(one, "setuptools >= 40.8.0").wheels
    path = served.folder / "setuptools-80.0-py3-none-any.whl"
    assert (found.name, found.version, found.file) == ("setuptools", "80.0", path.name)
    assert (found.url, found.sha256) == (served.url(path), sha256(path))
    assert files(ask(one, "scm")) == ["scm-1.0-py3-none-any.whl", "setuptools-70.0-py3-none-any.whl"]
    assert files(ask(one, "scm", target=ARM)) == [
        "fast-1.0-cp311-cp311-manylinux_2_28_aarch64.whl",
        "scm-1.0-py3-none-any.whl",
        "setuptools-70.0-py3-none-any.whl",
    ]
    assert ask(one) == Answer()


def test_no_wheel_is_taken_that_asks_for_a_newer_glibc(served: Index, tmp_path: Path) -> None:
    one = resolver(tmp_path / "demo", of(served))
    assert files(ask(one, "fast")) == ["fast-1.0-cp311-cp311-manylinux_2_28_x86_64.whl"]


def test_constraints_hold_and_wishes_give_way(served: Index, tmp_path: Path) -> None:
    text = of(served)
    kept = resolver(tmp_path / "demo", text, constraints=("setuptools<75",))
    assert files(ask(kept, "setuptools")) == ["setuptools-70.0-py3-none-any.whl"]
    with pytest.raises(UserError, match="setuptools") as caught:
        ask(kept, "setuptools>=80")
    # `uv lock` asks no build for its requirements, so it would say nothing.
    assert caught.value.problems[0].mend.startswith("choose another version of it")
    wished = resolver(tmp_path / "demo", text, wishes=("setuptools<75",))
    assert files(ask(wished, "setuptools")) == ["setuptools-70.0-py3-none-any.whl"]
    assert files(ask(wished, "setuptools>=80")) == ["setuptools-80.0-py3-none-any.whl"]


def test_a_time_that_rules_all_out_gives_way_unless_it_is_the_projects_own(served: Index, tmp_path: Path) -> None:
    # The pages of this index tell no times, so that uv takes nothing where one is asked for.
    assert files(ask(resolver(tmp_path / "demo", of(served)), "setuptools", newest=LATER)) == [
        "setuptools-80.0-py3-none-any.whl"
    ]
    with pytest.raises(UserError, match="setuptools"):
        ask(resolver(tmp_path / "demo", of(served), fixed=True), "setuptools", newest=LATER)


def test_what_has_no_wheel_is_its_source_and_runs_nowhere(served: Index, tmp_path: Path) -> None:
    ran = tmp_path / "ran"
    setup = f"open({str(ran)!r}, 'w').close()\nfrom setuptools import setup\nsetup()\n"
    for version in ("1.0", "2.0"):
        make_sdist(served.folder, "plugin", version, {"setup.py": setup})
    make_wheel(served.folder, "user", "1.0", requires=["plugin<2"])
    one = resolver(tmp_path / "demo", of(served))
    with pytest.raises(LackingError) as caught:
        ask(one, "plugin<2", "setuptools")
    (package,) = caught.value.packages
    assert (package.name, package.version, package.file) == ("plugin", "1.0", "plugin-1.0.tar.gz")
    assert package.sha256 == sha256(served.folder / "plugin-1.0.tar.gz")
    found = ask(one, "plugin<2", "setuptools", known={"plugin==1.0": ("scm",)})
    assert [source.name for source in found.sources] == ["plugin"]
    assert files(found) == ["scm-1.0-py3-none-any.whl", "setuptools-70.0-py3-none-any.whl"]
    assert not ran.exists()


@pytest.mark.parametrize("place", ["a commit", "an address", "a folder"])
def test_what_only_a_backend_could_tell_is_asked_of_none(served: Index, tmp_path: Path, place: str) -> None:
    """uv would run it here, for its version or what it depends on, wherever the source is from."""
    ran = tmp_path / "ran"
    own = {
        "pyproject.toml": '[project]\nname = "plugin"\ndynamic = ["version", "dependencies"]\n'
        '[build-system]\nrequires = []\nbuild-backend = "own"\nbackend-path = ["."]\n',
        "own.py": f"open({str(ran)!r}, 'w').close()\n",
    }
    made = Repository.make(tmp_path / "demo/plugin", own)
    path = make_sdist(served.folder, "plugin", "1.0", {**own, "PKG-INFO": "Metadata-Version: 1.0\n"})
    address = {"a commit": f"git+file://{made.folder}", "an address": served.url(path), "a folder": ""}[place]
    sources = json.dumps({"sources": {"plugin": {"path": "plugin"}}}) if place == "a folder" else ""
    question = Question((f"plugin @ {address}" if address else "plugin", "setuptools"), LINUX, "", sources)
    one = resolver(tmp_path / "demo", of(served))
    with pytest.raises(LackingError) as caught:
        one.answer(question, Known())
    (package,) = caught.value.packages
    assert (package.name, package.version) == ("plugin", None)
    known = Known({"plugin==1.0": ("scm",)}, {package.address: "1.0"})
    found = one.answer(question, known)
    assert [(source.name, source.version) for source in found.sources] == [("plugin", "1.0")]
    assert files(found) == ["scm-1.0-py3-none-any.whl", "setuptools-70.0-py3-none-any.whl"]
    assert not ran.exists()


def test_a_folder_of_wheels_in_the_project(tmp_path: Path) -> None:
    wheel = make_wheel(tmp_path / "demo/my wheels", "setuptools", "80.0")
    one = resolver(tmp_path / "demo", '[tool.uv]\nno-index = true\nfind-links = ["my wheels"]\n')
    (found,) = ask(one, "setuptools").wheels
    assert (found.url, found.sha256) == ("file:my%20wheels/setuptools-80.0-py3-none-any.whl", sha256(wheel))
    make_wheel(tmp_path / "outside", "setuptools", "80.0")
    one = resolver(tmp_path / "demo", '[tool.uv]\nno-index = true\nfind-links = ["../outside"]\n')
    with pytest.raises(UserError, match="lies outside of the project"):
        ask(one, "setuptools")


def test_an_index_without_hashes(index: Serve, tmp_path: Path) -> None:
    wheel = make_wheel(tmp_path / "bare", "setuptools", "80.0")
    one = resolver(tmp_path / "demo", of(index(tmp_path / "bare", hashes=False)))
    (found,) = ask(one, "setuptools").wheels
    assert (found.sha256, found.size) == (sha256(wheel), None)


def test_an_index_that_is_away_is_the_machines_fault(tmp_path: Path) -> None:
    one = resolver(tmp_path / "demo", '[[tool.uv.index]]\nurl = "http://127.0.0.1:9/simple/"\ndefault = true\n')
    with pytest.raises(MachineError):
        ask(one, "setuptools")


def test_only_the_settings_that_say_where_packages_come_from_are_passed_on(tmp_path: Path) -> None:
    text = (
        '[tool.uv]\nno-binary = true\nindex-url = "wheels"\nextra-index-url = ["https://example.org/simple", "more"]\n'
    )
    found = settings(resolver(tmp_path / "demo", text).project)
    assert "no-binary" not in found
    assert f'index-url = "{tmp_path}/demo/wheels"' in found
    assert f'"https://example.org/simple", "{tmp_path}/demo/more"' in found


GIT = Package("app", "1", "vcs", git=Git("https://example.org/app", "a" * 40, "packages/app"))


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ({"path": "../tool"}, {"git": "https://example.org/app", "rev": "a" * 40, "subdirectory": "packages/tool"}),
        ({"path": "../.."}, {"git": "https://example.org/app", "rev": "a" * 40}),
        (
            [{"path": "own", "marker": "os_name == 'nt'", "editable": True}, {"index": "b"}],
            [
                {
                    "git": "https://example.org/app",
                    "rev": "a" * 40,
                    "subdirectory": "packages/app/own",
                    "marker": "os_name == 'nt'",
                },
                {"index": "b"},
            ],
        ),
        ({"workspace": False, "index": "b"}, {"workspace": False, "index": "b"}),
    ],
)
def test_a_path_in_a_repository_is_in_its_commit(source: object, expected: object) -> None:
    assert pinnable(GIT, "tool", source) == expected


@pytest.mark.parametrize(
    ("package", "source"),
    [
        (GIT, {"workspace": True}),
        (GIT, {"path": "../../../tool"}),
        (GIT, {"path": "/tool"}),
        (Package("app", "1", "sdist"), {"path": "../tool"}),
    ],
)
def test_a_folder_beside_a_source_cannot_be_pinned(package: Package, source: object) -> None:
    with pytest.raises(UserError) as caught:
        pinnable(package, "tool", source)
    assert str(caught.value).startswith(
        "app: cannot be built: it requires tool from a folder beside it ([tool.uv.sources]), which nixgen cannot pin\n"
    )


def test_a_private_index_without_hashes(served: Index, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file is read with the user's own login."""
    served.hashes, served.credentials = False, "demo:plum"
    monkeypatch.setenv("UV_INDEX_LOOPBACK_USERNAME", "demo")
    monkeypatch.setenv("UV_INDEX_LOOPBACK_PASSWORD", "plum")
    one = resolver(tmp_path / "demo", of(served))
    (tmp_path / "demo/uv.lock").write_text("version = 1\n")
    one = replace(one, logins=logins.read(one.project))
    (wheel,) = ask(one, "setuptools==70.0").wheels
    assert wheel.sha256 == sha256(served.folder / wheel.file)
    assert "plum" not in repr(wheel)


@pytest.mark.parametrize(
    "line",
    [
        *("-r {secret}", "--index-url {index}/simple", "-e {folder}", " -r {secret}", "{index}/x-1-py3-none-any.whl"),
        *("x @ {index}/${{S3CRET}}/x-1-py3-none-any.whl", "setuptools\n-r {secret}", "setuptools \\", "./x", "/x.whl"),
        "",
    ],
    ids=range(11),
)
def test_a_source_cannot_give_uv_orders(
    served: Index, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, line: str
) -> None:
    """Read other files, ask other servers, tell them the user's variables, or run what it names on this machine."""
    monkeypatch.setenv("S3CRET", "s3cret")
    (tmp_path / "secret").write_text("top s3cret line\n")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder/setup.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\n")
    line = line.format(secret=tmp_path / "secret", index=served.address, folder=tmp_path / "folder")
    one = resolver(tmp_path / "demo", of(served))
    with pytest.raises(UserError) as caught:
        ask(one, "setuptools", line)
    with pytest.raises(UserError):
        ask(one, "setuptools", known={"other==1": (line,)})
    assert "no requirement" in str(caught.value)
    assert "s3cret" not in str(caught.value).replace("S3CRET", "")
    assert served.requests == []
    assert not (tmp_path / "ran").exists()


def test_a_source_cannot_take_the_login_of_an_index_by_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the project's own index is on that server, it may."""
    monkeypatch.setenv("UV_INDEX_PRIVATE_USERNAME", "me")
    monkeypatch.setenv("UV_INDEX_PRIVATE_PASSWORD", "s3cret")
    make_wheel(tmp_path / "served", "tool", "1.0")
    with serve(tmp_path / "served", credentials="me:s3cret") as served:
        row = {"name": "private", "url": served.simple}
        places = json.dumps({"sources": {"tool": [{"index": "private"}]}, "index": [row]})
        one = resolver(tmp_path / "demo")
        with pytest.raises(UserError):
            one.answer(Question(("tool",), LINUX, "", places), Known())
        own = replace(one, logins=logins.Logins(((served.address, download.basic("me", "s3cret")),)))
        found = own.answer(Question(("tool",), LINUX, "", places), Known())
    assert files(found) == ["tool-1.0-py3-none-any.whl"]


def test_no_login_of_an_address_gets_into_what_is_pinned(tmp_path: Path) -> None:
    path = make_wheel(tmp_path / "served", "tool", "1.0")
    with serve(tmp_path / "served") as served:
        one = resolver(tmp_path / "demo", of(served))
        url = served.url(path)
        for wrong in (url.replace("://", "://me:s3cret@"), f"{url}?token=s3cret"):
            with pytest.raises(UserError) as caught:
                ask(one, f"tool @ {wrong}")
            assert "s3cret" not in str(caught.value)
            assert "***" in str(caught.value)
