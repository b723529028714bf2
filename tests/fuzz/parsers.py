"""The parsers of what others write, each with valid examples: files of a project, of a cache, of wheels, of datasets.

A parser is loaded when it is asked for, so that each process has one.
"""

from __future__ import annotations

import io
import json
import tempfile
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import mutating

if TYPE_CHECKING:
    from hypothesis import strategies as st

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Parser:
    """A function that reads bytes, examples of what it reads, and what else than a NixgenError it refuses with."""

    read: Callable[[bytes], object]
    seeds: tuple[bytes, ...]
    text: bool = True
    refusals: tuple[type[Exception], ...] = ()
    words: tuple[bytes, ...] = ()

    def inputs(self) -> st.SearchStrategy[bytes]:
        """The examples, changed."""
        return mutating.mutated(self.seeds, text=self.text, words=self.words)


def _text(data: bytes) -> str:
    return data.decode("utf-8", "replace")


def _file(read: Callable[[Path], object], name: str) -> Callable[[bytes], object]:
    """The reader of a file of this name, as one of bytes."""
    path = Path(tempfile.mkdtemp(), name)

    def written(data: bytes) -> object:
        path.write_bytes(data)
        return read(path)

    return written


def _project(changed: str) -> Callable[[bytes], object]:
    """A project whose file of this name is another one; what every command reads of it first."""
    from projects import make

    from nixgen.project.project import find_project

    root = make(Path(tempfile.mkdtemp()))

    def read(data: bytes) -> object:
        (root / changed).write_bytes(data)
        project = find_project(root)
        return project.settings, project.uv_lock()

    return read


def pyproject() -> Parser:
    from projects import PYPROJECT

    tool = (
        '[tool.nixgen]\nbase = "debian"\npython = "3.11"\nsystems = ["x86_64-linux"]\ngroups = ["dev"]\n'
        'tools = ["git"]\n'
        'libraries = ["libpq5"]\nprefer = ["a", "b"]\n[tool.nixgen.env]\nA = "b"\n[tool.uv]\npackage = false\n'
        '[[tool.uv.index]]\nname = "own"\nurl = "https://index.example.org/simple"\n'
        '[tool.uv.sources]\nsix = { path = "a" }\n'
    )
    seeds = (PYPROJECT.encode(), (PYPROJECT + tool).encode(), (PYPROJECT + '[project.scripts]\nx = "a:b"\n').encode())
    return Parser(_project("pyproject.toml"), seeds)


def uv_lock() -> Parser:
    from projects import SIX, package, uv_lock, wheel

    numpy = package("numpy", "2.4.6", wheel("numpy-2.4.6-cp311-cp311-manylinux_2_28_x86_64.whl", size=1))
    return Parser(_project("uv.lock"), (uv_lock(SIX, numpy).encode(), uv_lock().encode()))


def pylock_toml() -> Parser:
    """pylock.toml of another tool."""
    from nixgen.project import pylockfile

    lock = b"""lock-version = "1.0"
created-by = "x"
requires-python = ">=3.11"
environments = ["sys_platform == 'linux'"]
extras = ["fast"]
dependency-groups = ["dev"]
default-groups = ["dev"]
[[packages]]
name = "six"
version = "1.17.0"
marker = "'fast' in extras"
wheels = [{ url = "https://files.example.org/six-1.17.0-py3-none-any.whl", size = 10, hashes = { sha256 = "%s" } }]
[[packages]]
name = "own"
directory = { path = "libs/own", editable = true }
""" % (b"1" * 64)

    def read(data: bytes) -> object:
        document = pylockfile.read(_text(data), "pylock.toml")
        return pylockfile.chosen(document, "pylock.toml", "tool.nixgen", ["fast"], None)

    return Parser(read, (lock,))


def script() -> Parser:
    """A script's metadata."""
    from nixgen.project import scripts
    from nixgen.project.settings import Settings

    text = b"""#!/usr/bin/env python
# /// script
# requires-python = ">=3.11"
# dependencies = ["six"]
#
# [tool.nixgen]
# base = "debian"
# systems = ["x86_64-linux"]
# ///
import six
"""

    def read(data: bytes) -> object:
        found = scripts.read("report.py", _text(data), None)
        scripts.folder_settings([found], None)
        return Settings.of_script(found.settings, "report.py"), found.as_pyproject(), found.requires_python

    return Parser(read, (text,))


def requirements() -> Parser:
    """requirements.txt, for init --from."""
    from nixgen.init.convert import requirements as reader

    text = b"""--index-url https://ann:secret@index.example.org/simple
--extra-index-url https://other.example.org/${TOKEN}/simple
-e git+https://git.example.org/x.git@v1#egg=x&subdirectory=y
-f https://files.example.org/links
--no-binary :all:
--only-binary=six,idna
six==1.17.0 --hash=sha256:%s \\
    --hash=sha256:%s ; python_version < "3.12"  # via x
own[fast] @ file:///libs/own
./gone-1.0.zip
""" % (b"1" * 64, b"2" * 64)

    def read(data: bytes) -> object:
        found = reader.read(ROOT, "made-up.txt", _text(data))
        return reader.settings(found), reader.pins(_text(data)), reader.compiled(_text(data))

    return Parser(read, (text,))


def environment_yml() -> Parser:
    """conda's environment.yml, for init --from."""
    from nixgen.init.convert import conda

    text = b"""name: x
channels: [conda-forge, nodefaults]
dependencies:
  - python=3.12
  - conda-forge::numpy>=1.26,<2
  - blas=*=openblas
  - pip:
    - six==1.17.0
variables: {A: b}
"""
    return Parser(_file(lambda path: conda.draft(path.parent, path.name), "environment.yml"), (text,))


def poetry() -> Parser:
    """pyproject.toml of Poetry, for init --from."""
    from nixgen.formats import toml
    from nixgen.init.convert import poetry as reader

    text = b"""[tool.poetry]
name = "x"
version = "1"
authors = ["Ann <ann@example.org>"]
readme = ["README.md"]
[tool.poetry.dependencies]
python = "^3.11 || ~3.12"
six = { version = "^1.16", extras = ["y"], python = "<3.13", platform = "linux", optional = true }
own = { git = "https://git.example.org/x.git", tag = "v1", subdirectory = "y" }
idna = [{ version = "3.*", markers = "os_name == 'nt'" }, { url = "https://files.example.org/idna.whl" }]
[tool.poetry.extras]
fast = ["six"]
[tool.poetry.group.dev]
optional = true
include-groups = ["docs"]
[tool.poetry.group.dev.dependencies]
x = "~1"
[tool.poetry.scripts]
x = { reference = "x:y", type = "console" }
[tool.poetry.plugins."a.b"]
c = "d:e"
[[tool.poetry.source]]
name = "own"
url = "https://index.example.org/simple"
priority = "supplemental"
[build-system]
requires = ["poetry-core"]
build-backend = "poetry.core.masonry.api"
"""

    def read(data: bytes) -> object:
        written = _text(data)
        try:
            document = toml.loads(written)
        except toml.TomlError:
            return None
        return reader.draft(ROOT / "tests" / "golden", written, document, None)

    return Parser(read, (text,))


def nixgen_lock() -> Parser:
    from test_artifacts_pins import ALL, BASE

    from nixgen.lock.lockfile import dump_lock, read_lock
    from nixgen.lock.model import Lock

    seeds = (dump_lock(Lock(BASE, (), ())).encode(), dump_lock(Lock(BASE, (), ALL)).encode())
    return Parser(_file(read_lock, "nixgen.lock"), seeds)


def models_toml() -> Parser:
    from test_artifacts_cli import TOML

    from nixgen.artifacts.manifest import read_manifest

    service = '\n[services.api]\ncommand = ["python", "serve.py"]\nmodels = ["minilm"]\n'
    return Parser(
        _file(lambda path: read_manifest(path.parent), "models.toml"), (TOML.encode(), (TOML + service).encode())
    )


def flake_lock() -> Parser:
    from test_artifacts_pins import BASE

    from nixgen.bases.model import DebianBase
    from nixgen.generate.flakelock import DEBIAN_URL, Flake, fresh, in_step

    debian = DebianBase("bookworm", "3.11", "2.36", (), (), (), ())
    wanted = {"nix/nixgen/default.nix": b"{ }"}

    def read(data: bytes) -> object:
        text = f'{{ inputs.nixpkgs.url = "{DEBIAN_URL}"; }}'.encode()
        return [in_step(Flake(data, text), base, wanted) for base in (BASE, debian)]

    return Parser(read, (fresh(BASE, wanted), fresh(debian, wanted)))


def record() -> Parser:
    from records import X86, system_record

    from nixgen.check.model import Record
    from nixgen.check.record import dump_record, read_record

    text = dump_record(Record("demo", {X86: system_record()}))
    return Parser(_file(read_record, "nixgen.hashes.json"), (text.encode(),))


def check_result() -> Parser:
    from nixgen.check.model import Report, Step
    from nixgen.check.report.text import as_json
    from nixgen.reports.checked import read_result

    steps = (Step("bytes", True, "the same"), Step("rebuild", None, "was not asked for"))
    return Parser(
        _file(read_result, "check.json"), (as_json([Report("demo", "x86_64-linux", steps, "sha256:a")]).encode(),)
    )


def run_record() -> Parser:
    from test_runs_recordfile import SMALL, WHOLE

    from nixgen.runs import recordfile

    return Parser(lambda data: recordfile.parse(_text(data)), (recordfile.dump(SMALL), recordfile.dump(WHOLE)))


def run_statement() -> Parser:
    """A statement about a run, as it is and as a bundle has it."""
    import base64

    from test_runs_recordfile import WHOLE

    from nixgen.models import signing
    from nixgen.runs import statement

    text = statement.text(statement.statement(WHOLE, "cd" * 32)).encode()
    envelope = {"payload": base64.b64encode(text).decode(), "payloadType": "application/vnd.in-toto+json"}
    bundle = json.dumps({"verificationMaterial": {}, "dsseEnvelope": envelope}).encode()
    return Parser(lambda data: statement.parse(signing.statement(data, "a").document, "a"), (text, bundle))


def run_config() -> Parser:
    """Configurations, in each format; metrics are read as they are."""
    from nixgen.runs import config, metrics

    table = {
        "db": {"password": "hunter2", "x": [1, "https://u:hunter2@h.example.org/"]},
        "api_key": "hunter2",
        "n": 1.5,
    }
    toml = b'api_key = "hunter2" # token: x\n[db]\npassword = "hunter2"\n'
    yaml = b"db: &a\n  password: hunter2\n  list: [1, *a]\n# token = x\nn: .nan\n"

    def read(data: bytes) -> object:
        words = config.masked_words(_text(data).split(" "))
        return words, [config.masked(_text(data), f"a.{ending}") for ending in ("json", "yaml", "toml", "ini")]

    def both(path: Path) -> object:
        return read(path.read_bytes()), metrics.from_lines(path), metrics.from_file(path)

    words = (b"password: ", b"token=", b"*a", b"<<: *a", b"a" * 8000, b"nixgen-metric: a=1", b"@h", b"${")
    return Parser(_file(both, "m.yaml"), (json.dumps(table).encode(), toml, yaml), words=words)


def guard_manifest() -> Parser:
    from test_artifacts_pins import ALL, BASE

    from nixgen import guard
    from nixgen.guard import manifest
    from nixgen.lock.lockfile import dump_lock
    from nixgen.lock.model import Lock

    digest = "0" * 64
    trees = [{"name": "models.m", "path": "/x", "files": [{"path": "a/b", "size": 1, "sha256": digest}], "prefix": "p"}]
    seeds = (dump_lock(Lock(BASE, (), ALL)).encode(), json.dumps({"version": 1, "trees": trees}).encode())
    read = _file(lambda path: manifest.read(str(path), env={"NIXGEN_MODELS": "/m", "NIXGEN_DATA": "/d"}), "lock")
    return Parser(read, seeds, refusals=(guard.BadInput,))


# A cache and its log


def narinfo() -> Parser:
    from test_cache_narinfo import FILE, TEXT

    from nixgen.cache import narinfo

    return Parser(lambda data: narinfo.parse(_text(data), FILE), (TEXT.encode(),), words=(b"Sig: demo:AAAA\n",))


def public_key() -> Parser:
    from nixgen.cache.narinfo import PublicKey

    seeds = (b"demo-1:fm1Y9jMlKQtRR3bbcCLrCFSVzbUIjlLPu2OGZ3kVUTE=",)
    return Parser(lambda data: PublicKey.parse(_text(data)), seeds)


def entry() -> Parser:
    from logs import entry

    from nixgen.cache.entry import Entry
    from nixgen.log.entry import EntryError

    seeds = (entry(1).line(), entry(2, drv=False).line())
    return Parser(Entry.parse, seeds, refusals=(EntryError,))


def registry_entry() -> Parser:
    from registries import MODEL

    from nixgen.log.entry import EntryError
    from nixgen.registry.entry import Condition, Entry

    at, passed = "2026-11-03T12:00:00.000000Z", (Condition("auc", True, "0.93", ">= 0.9"),)
    published = Entry("publish", MODEL, "1.0.0", at, "ann", digest="0" * 64)
    promoted = Entry("promote", MODEL, "1.0.0", at, "ann", alias="prod", serial=1, verdict=passed)
    return Parser(Entry.parse, (published.line(), promoted.line()), refusals=(EntryError,))


def advisory() -> Parser:
    from nixgen.bom import osv
    from nixgen.bom.model import Advised

    def read(data: bytes) -> object:
        found = osv.advisory(json.loads(data))
        asked = (Advised("PyPI", "a", "1.5"), Advised("Debian:12", "a", "1.5-1"), Advised("PyPI", "a", ""))
        return found and [osv.verdict(found, one) for one in asked]

    def seed(ecosystem: str, kind: str, *versions: str) -> bytes:
        events = [{"introduced": "0"}, {"fixed": "1.5-1+b1~x"}, {"introduced": "1:2"}, {"last_affected": "3"}]
        one = {"package": {"ecosystem": ecosystem, "name": "a"}, "ranges": [{"type": kind, "events": events}]}
        document = {"id": "X-1", "aliases": ["Y"], "summary": "s", "affected": [one | {"versions": list(versions)}]}
        return json.dumps(document).encode()

    seeds = (seed("PyPI", "ECOSYSTEM"), seed("Debian:12", "ECOSYSTEM"), seed("PyPI", "GIT", "1.0", "1.5.0"))
    return Parser(read, seeds, refusals=(ValueError, RecursionError))


def bom() -> Parser:
    from nixgen.bom import diff

    def changes(path: Path) -> object:
        document = diff.read(path)
        found = diff.changes(document, {"components": [{"name": "a", "purl": "pkg:pypi/a@1"}]})
        return diff.as_text(found), diff.as_json(found)

    one = {"type": "library", "name": "a", "version": "2", "purl": "pkg:pypi/a@2?arch=x", "hashes": [{"content": "0"}]}
    other = {"type": "data", "name": "b", "properties": [{"name": "nixgen:narHash", "value": "sha256-0"}]}
    seeds = (json.dumps({"bomFormat": "CycloneDX", "components": [one, other]}).encode(),)
    return Parser(_file(changes, "bom.json"), seeds)


def checksums() -> Parser:
    from nixgen.registry import checksums

    seeds = (checksums.dump({"model.bin": "0" * 64, "a/b c": "1" * 64}),)
    return Parser(checksums.parse, seeds, refusals=(checksums.ChecksumError,))


def checkpoint() -> Parser:
    from logs import VERIFIER, filled

    from nixgen.log.checkpoint import Checkpoint
    from nixgen.log.note import NoteError

    def read(data: bytes) -> object:
        Checkpoint.unverified(data)
        return Checkpoint.opened(data, VERIFIER)

    return Parser(read, (filled(3).files["checkpoint"],), refusals=(NoteError,))


def note_keys() -> Parser:
    from logs import SIGNER, VERIFIER

    from nixgen.log.note import NoteError, Signer, Verifier

    def read(data: bytes) -> object:
        try:
            return Verifier.parse(_text(data))
        except NoteError:
            return Signer.parse(_text(data))

    return Parser(read, (str(VERIFIER).encode(), SIGNER.secret().encode()), refusals=(NoteError,))


def log_files() -> Parser:
    """Every file of a log in turn is another one: its tiles, its bundles of entries, announcements."""
    from logs import Memory, filled, opened

    from nixgen.cache.entry import Entry
    from nixgen.log.entry import read as entries

    files = filled(300).files
    names = sorted(files)

    def read(data: bytes) -> object:
        name = names[data[0] % len(names)] if data else names[0]
        return list(entries(opened(Memory({**files, name: data[1:]})), Entry))

    return Parser(read, tuple(bytes([place]) + files[name] for place, name in enumerate(names)), text=False)


def place() -> Parser:
    from nixgen.cache import place

    seeds = (
        b"s3://bucket/a?endpoint=e.example.org&region=x",
        b"https://cache.example.org/a",
        b"/var/cache",
        b"ssh-ng://u@h",
    )
    return Parser(lambda data: place.parse(_text(data)), seeds, words=(b"://", b"[::1", b"~nosuch/", b"?a=b&", b"%zz"))


# What Nix, uv, apt and servers print


def nix_path_info() -> Parser:
    from test_nix_json import MIDDLE, NEW, OLD

    from nixgen.nix.json import path_infos

    return Parser(lambda data: path_infos(_text(data)), tuple(json.dumps(one).encode() for one in (OLD, MIDDLE, NEW)))


def nix_log() -> Parser:
    from nixgen.check import recheck
    from nixgen.nix.log import Log

    drv = "/nix/store/aqb5vyxvj1mi7njmnfm29caklav518km-ok.drv"

    def read(data: bytes) -> object:
        log = Log()
        for line in _text(data).splitlines(keepends=True):
            log.feed(line)
        return log.state(ended=True), log.failures(), recheck.read(_text(data), drv)

    logs = sorted((ROOT / "tests/unit/nixlogs").glob("*.log"))
    return Parser(read, tuple(path.read_bytes()[:20000] for path in logs))


def apt_plan() -> Parser:
    from nixgen.bases.debian import apt

    line = "'http://deb.example.org/pool/main/b/bash/bash_5.2_amd64.deb' bash_1%3a5.2_amd64.deb 1500 SHA256:" + "0" * 64
    return Parser(lambda data: list(apt.parse_plan(_text(data))), (f"Reading…\n{line}\n".encode(),))


def apt_sources() -> Parser:
    from nixgen.bases.debian import sources

    def read(data: bytes) -> object:
        return list(sources.parse_one_line(_text(data))), list(sources.parse_deb822(_text(data)))

    one = b"deb [signed-by=/usr/share/keyrings/a.gpg arch=amd64] http://deb.example.org/debian bookworm main # x\n"
    many = b"Types: deb\nURIs: http://deb.example.org/debian\nSuites: bookworm\n bookworm-updates\nComponents: main\n"
    return Parser(read, (one, many + b"Signed-By:\n -----BEGIN PGP PUBLIC KEY BLOCK-----\n .\n\n" + many))


def deb() -> Parser:
    from support.debian import deb

    from nixgen.bases.debian import busybox

    seeds = tuple(deb({"bin/busybox": b"program" * 50}, packed=packed) for packed in ("xz", "gz"))
    return Parser(lambda data: busybox.busybox(data, "https://deb.example.org/a.deb"), seeds, text=False)


def hub_config() -> Parser:
    from nixgen.artifacts.sources import hfcard

    seed = {"auto_map": {"AutoModel": "org/repo--modeling.Model"}, "model_type": "x", "list": [{"a": ["org/b--c.D"]}]}
    return Parser(hfcard.code_repos, (json.dumps(seed).encode(),))


def wheel_name() -> Parser:
    from nixgen.resolve import wheels

    seeds = (b"numpy-2.4.6-cp311-cp311-manylinux_2_27_x86_64.manylinux_2_28_x86_64.whl", b"a-1-2b-py2.py3-none-any.whl")
    return Parser(lambda data: wheels.parse(_text(data)), seeds, words=(b".", b"-", b".a" * 500))


def addresses() -> Parser:
    from nixgen.artifacts import sourcetext
    from nixgen.machine import addresses

    def read(data: bytes) -> object:
        text = _text(data)
        return list(addresses.found(text)), sourcetext.source_fault(text, pinned=False), sourcetext.address_fault(text)

    seeds = (
        b"https://user:secret@host.example.org:8080/a?token=x&b=1#c", b"hf:org/name", b"github:o/r", b"s3://b/k",
        b"oci:registry.example.org/a/b:tag", b"archive:https://h.example.org/a.tar.gz", b"ssh://git@h/a", b"file:a/b",
    )  # fmt: skip
    return Parser(read, seeds, words=(b"@", b"://", b"?token=", b"[::1]", b"a." * 8000, b" @" * 8000))


def bundle() -> Parser:
    """A bundle, and its parts by themselves: what comes behind the script is compressed, and hides the rest."""
    import io
    import zlib

    from test_bundle import make

    from nixgen.bundle import model, reading, start, tarform

    folder = Path(tempfile.mkdtemp())
    whole = make(folder / "made").write(folder / "a.nixgen").read_bytes()
    tar = zlib.decompress(whole[start.SIZE :], 31)

    def read(data: bytes) -> object:
        reading.read_file(io.BytesIO(data), "a.nixgen", reading.Sink())
        return None

    def both(data: bytes) -> object:
        if data.startswith(b"{"):
            return model.parse(data, "a.nixgen")
        if data.startswith(b"#!"):
            return read(data)
        packed = zlib.compressobj(1, zlib.DEFLATED, 31)
        return read(whole[: start.SIZE] + packed.compress(data) + packed.flush())

    listed = tar[512 : 512 + tarform.read(io.BytesIO(tar).read).size]  # type: ignore[union-attr]
    return Parser(both, (tar[:20000], listed, whole), text=False)


def bundle_proofs() -> Parser:
    from logs import append, filled, opened
    from test_bundle import make

    from nixgen.bundle import proofs
    from nixgen.cache.entry import Entry

    made = make(Path(tempfile.mkdtemp())).bundle
    store = filled(20)
    append(opened(store), [Entry(one.name, one.nar_hash, one.nar_size, one.references) for one in made.paths.values()])
    seed = proofs.dump([proofs.proved("https://cache.example.org", opened(store), made.paths)])
    return Parser(lambda data: proofs.logged(data, made, "a.nixgen"), (seed,))


def fleet_plan() -> Parser:
    """A plan, its shares and what is shown of it."""
    from test_fleet_shards import SYSTEM, plan, unit

    from nixgen.fleet import model, report
    from nixgen.fleet.worker import Share

    def read(data: bytes) -> object:
        found = model.parse(_text(data))
        assert model.parse(found.json()) == found
        shares = [Share(SYSTEM, index, 3).units(found) for index in (1, 2, 3)]
        return shares, report.table(found)

    whole = plan(unit(1, "base", 5.0), unit(2), unit(3, "wheels", 0.25, "gpu"), unit(4, "environments"))
    return Parser(read, (whole.json().encode(),), words=(b"1e999", b"NaN", b"9" * 400, b"../"))


def fleet_receipt() -> Parser:
    from test_fleet_shards import HASH

    from nixgen.cache.entry import Entry
    from nixgen.fleet.receipts import Receipts
    from nixgen.log.note import Signer
    from nixgen.log.stores.folder import Folder

    folder, signer = Path(tempfile.mkdtemp()), Signer("fleet-1", bytes(32))
    name = f"{'0' * 32}-numpy"
    receipts = Receipts(Folder(folder), (signer.verifier,))
    receipts.claim([Entry(name, HASH, 100, (name,))], signer)
    place = folder / f"{'0' * 32}.receipt"
    seed = place.read_bytes()

    def read(data: bytes) -> object:
        place.write_bytes(data)
        return list(receipts.closure([name]))

    return Parser(read, (seed,))


def registry_logins() -> Parser:
    """Docker's and Podman's files; whatever helper one names is not there."""
    import os

    from nixgen.machine.download import basic
    from nixgen.registries import logins

    os.environ["PATH"] = "/nonexistent"

    def read(path: Path) -> object:
        found = logins.login("a.example.org", "team/demo", {"REGISTRY_AUTH_FILE": str(path)})
        return found and (basic(found.user, found.password), found.identity.encode())

    seeds = (
        b'{"auths": {"https://a.example.org/v1/": {"auth": "bW9uYTpzZWNyZXQ="}, "a.example.org/team": {}}}',
        b'{"auths": {"a.example.org": {"username": "mona", "password": "x", "identitytoken": ""}}}',
        b'{"credHelpers": {"a.example.org": "desktop"}}',
    )
    return Parser(_file(read, "auth.json"), seeds, words=(b"\\ud800", b"[" * 3000, b'"credsStore": "x"'))


def registry_answer() -> Parser:
    """What a registry says: of an error, a token, where it is to be had, where an upload goes on, who refers to it."""
    from contextlib import suppress

    from nixgen.errors import NixgenError
    from nixgen.oci.model import Descriptor
    from nixgen.registries import client, push
    from nixgen.registries.place import Place

    class Answering(client.Registry):
        answer = client.Reply(200, {}, b"", "https://a.example.org/v2/team/demo/x")

        def ask(self, *_words: object, **_more: object) -> client.Reply:
            return self.answer

    def read(data: bytes) -> None:
        registry = Answering(Place("a.example.org", "team/demo"))
        header = _text(data)
        registry.answer = client.Reply(
            200, {"location": header, "docker-content-digest": header}, data, "https://a.example.org/v2/"
        )
        _ = registry.answer.told
        client._parsed(data)
        for asked in (
            lambda: registry.onward(registry.answer),
            lambda: push._list(registry, "sha256-0", Descriptor("a/b", "sha256:0", 1)),
            lambda: Place.of(header),
        ):
            with suppress(NixgenError):
                asked()

    row = {"mediaType": "a/b", "digest": "sha256:0", "size": 1}
    index = {"mediaType": "application/vnd.oci.image.index.v1+json", "manifests": [row]}
    seeds = (
        json.dumps(index).encode(), b'{"errors": [{"code": "DENIED", "message": "no"}]}', b'{"token": "abc"}',
        b"/v2/team/demo/blobs/uploads/x?_state=y", b"https://a.example.org:5000/up", b"a.example.org:5000/team/d:1.2",
    )  # fmt: skip
    return Parser(read, seeds, words=(b"[::1", b"[" * 3000, b"@", b"://"))


def image_files() -> Parser:
    """The files of an image in the store: image.json is another one."""
    from nixgen.oci import stored
    from nixgen.oci.model import Unequal

    folder = Path(tempfile.mkdtemp()) / "image"
    layer = {
        "title": "a",
        "digest": f"sha256:{'0' * 64}",
        "size": 1,
        "paths": [{"path": "/nix/store/a", "narHash": "x"}],
    }
    plan = {"name": "a:1", "platform": "linux/amd64", "annotations": {"a": "b"}, "layers": [layer]}
    stored.write(folder, plan, b"{}")

    def read(data: bytes) -> object:
        (folder / "image.json").write_bytes(data)
        return stored.read(folder)

    return Parser(read, (json.dumps(plan).encode(),), refusals=(Unequal,))


# Files of wheels and archives


def _wheel() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as wheel:
        wheel.writestr("a/__init__.py", "X = 1\n" * 40)
        wheel.writestr("a-1.dist-info/METADATA", "Metadata-Version: 2.1\nName: a\nVersion: 1\n")
        wheel.writestr("a-1.dist-info/RECORD", "a/__init__.py,,\n")
        wheel.writestr("a-1.data/scripts/run", "#!python\n", zipfile.ZIP_STORED)
    return buffer.getvalue()


def wheel_archive() -> Parser:
    from builders import archive

    def read(path: Path) -> object:
        found = archive.Archive(str(path), "")
        return [len(found.read(name)) for name in found.members]

    return Parser(_file(read, "a.whl"), (_wheel(),), text=False, refusals=(archive.Damaged,))


def wheel_elf() -> Parser:
    from builders import elf, relink

    def read(data: bytes) -> object:
        found = elf.read(data)
        return None if found is None else relink.File(data).write()

    program = Path("/bin/true").read_bytes()
    return Parser(read, (program, program[:4096]), text=False, refusals=(relink.Unwritable,))


def archive_member() -> Parser:
    """An archive that a model or dataset is a member of."""
    import tarfile

    from nixgen.artifacts.sources import archive

    def read(path: Path) -> object:
        with archive.opened(path, "models.m") as members:
            return [len(members.open(name).read(1 << 20)) for name in members.names]

    seeds = [_wheel()]
    for packed in ("", "gz", "xz"):
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode=f"w:{packed}") as tar:
            for name in ("a/model.onnx", "b"):
                member = tarfile.TarInfo(name)
                member.size = 600
                tar.addfile(member, io.BytesIO(bytes(600)))
        seeds.append(buffer.getvalue())
    return Parser(_file(read, "archive"), tuple(seeds), text=False)


def source_archive() -> Parser:
    """A source distribution, unpacked by the builder."""
    import importlib.util
    import shutil
    import tarfile

    place = ROOT / "nix/builders/source/archive.py"
    spec = importlib.util.spec_from_file_location("source_archive", place)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)

    def read(path: Path) -> object:
        folder = path.parent / "unpacked"
        shutil.rmtree(folder, ignore_errors=True)
        return module.unpack(str(path), str(folder))

    seeds = [_wheel()]
    for packed, form in (("", tarfile.PAX_FORMAT), ("", tarfile.GNU_FORMAT), ("gz", tarfile.PAX_FORMAT)):
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode=f"w:{packed}", format=form) as tar:
            for name, target in (("a/setup.py", ""), ("a/" + "é" * 120, ""), ("a/b", "setup.py")):
                member = tarfile.TarInfo(name)
                member.size, member.linkname, member.mtime = 0 if target else 600, target, 1
                member.type = tarfile.SYMTYPE if target else tarfile.REGTYPE
                tar.addfile(member, io.BytesIO(bytes(600)))
        seeds.append(buffer.getvalue())
    return Parser(_file(read, "archive"), tuple(seeds), text=False, refusals=(module.Refused,))


def explained() -> Parser:
    """The causes of a difference: what was expected against what was found, of every kind of file."""
    import py_compile

    from nixgen.check.explain import causes

    folder = Path(tempfile.mkdtemp())
    (folder / "m.py").write_text("X = 1\n")
    pyc = Path(py_compile.compile(str(folder / "m.py"), str(folder / "m.pyc"), doraise=True) or "").read_bytes()
    seeds = (_wheel(), pyc, Path("/bin/true").read_bytes()[:16384], b'{"a": 1}\n', b"built in /build/x at 2024-01-01\n")

    def read(data: bytes) -> object:
        return [causes.causes(seed, data) for seed in seeds], [causes.causes(data, seed) for seed in seeds]

    return Parser(read, seeds, text=False)


# Datasets


def _dataset(form: str) -> Callable[[Path], object]:
    """Its manifest and statistics, and what ``nixgen data diff`` shows of it and of the dataset before it."""
    from nixgen.data import render, snapshot
    from nixgen.data.arrow import arrow
    from nixgen.data.diff import diff

    arrow("csv")  # what it takes by itself is not the input's
    arrow("compute")
    last: list[snapshot.Snapshot] = []

    def read(path: Path) -> Any:
        last.append(snapshot.read(*snapshot.of_path(path, "d", form)))
        found = diff(last[-2:][0], last[-1])
        del last[:-1]
        return render.as_text(found), render.as_markdown(found), render.as_json(found)

    return read


def json_with_comments() -> Parser:
    """An editor's settings, to which something is added."""
    from nixgen.formats import jsonc

    wanted = {"a": 1, "files.watcherExclude": {"**/.venv*/**": True}, "list": ["x"], "new": {"deep": [1]}}

    def both(data: bytes) -> None:
        found = jsonc.merged(_text(data), wanted)
        assert jsonc.merged(found.text, wanted).text == found.text

    seeds = (
        b'// c\n{\n  "a": 2, "files.watcherExclude": {"x": true}, // e\n  "list": [\n    "y", // f\n  ],\n}\n',
        b'\xef\xbb\xbf{"list": ["x"], "a": "//", "b": {} /**/}\r\n',
        b"{}",
    )
    return Parser(both, seeds, refusals=(ValueError, RecursionError), words=(b"{" * 3000, b'{"a":' * 300, b"/*", b",}"))


def csv() -> Parser:
    seeds = (b"id,name,when\n1,ann,2024-01-01\n2,,2024-02-30\n", b'a,b\n"x\ny",1e5\n"""",-0\n', b"a\n")
    return Parser(_file(_dataset("csv"), "a.csv"), seeds, words=(b"," * 3000, b"a,b\n" * 100))


def json_lines() -> Parser:
    seeds = (b'{"a": 1, "b": [1, {"c": null}]}\n{"a": 2.5, "b": []}\n', b'{"x": "y"}\n')
    keys = b"{" + b", ".join(b'"k%d": 1' % n for n in range(3000)) + b"}\n"
    return Parser(_file(_dataset("jsonl"), "a.jsonl"), seeds, words=(keys, b'{"a": {"a": ' * 300))


def parquet() -> Parser:
    from datafiles import parquet

    seeds = (parquet({"id": [1, 2, 3], "name": ["a", None, "c"], "list": [[1], [], None]}),)
    return Parser(_file(_dataset("parquet"), "a.parquet"), seeds, text=False)


def arrow_ipc() -> Parser:
    from datafiles import arrow_file

    columns = {"id": [1, 2, 3], "name": ["a", None, "c"], "list": [[1], [], None]}
    seeds = (arrow_file(columns), arrow_file(columns, stream=True))
    return Parser(_file(_dataset("arrow"), "a.arrow"), seeds, text=False)


PARSERS: dict[str, Callable[[], Parser]] = {
    function.__name__: function
    for function in (
        pyproject, uv_lock, pylock_toml, script, requirements, environment_yml, poetry,
        nixgen_lock, models_toml, flake_lock, record, check_result, guard_manifest, run_record, run_statement,
        run_config,
        narinfo, public_key, entry, checkpoint, note_keys, log_files, place, registry_entry, checksums, advisory, bom,
        nix_path_info, nix_log, apt_plan, apt_sources, deb, hub_config, wheel_name, addresses,
        bundle, bundle_proofs, fleet_plan, fleet_receipt, registry_logins, registry_answer, image_files,
        wheel_archive, wheel_elf, archive_member, source_archive, explained,
        json_with_comments, csv, json_lines, parquet, arrow_ipc,
    )
}  # fmt: skip
