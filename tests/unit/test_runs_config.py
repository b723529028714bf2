"""What is secret in a configuration or a command is not kept; what only sounds so is."""

from __future__ import annotations

import gzip
import hashlib
import json
import resource
import subprocess
import sys
import zlib
from pathlib import Path

import pytest
import yaml  # type: ignore[import-untyped]

from nixgen.errors import UserError
from nixgen.runs import config
from nixgen.runs.model import ConfigFile

SECRETS = [
    *("password", "DB_PASSWORD", "db.password", "api_key", "apiKey", "API-KEY", "aws_secret_access_key", "secret"),
    *("client_secret", "token", "hf_token", "HF_TOKEN", "github_token", "access_token", "authToken", "private_key"),
    *("credentials", "passphrase", "dbpass", "PGPASSWORD", "pwd", "connection_string", "AccountKey", "cookie"),
]
PLAIN = [
    *(
        "pad_token",
        "eos_token",
        "tokenizer",
        "max_tokens",
        "num_tokens",
        "key",
        "sort_key",
        "keys",
        "bypass",
        "compass",
    ),
    *("author", "monkey", "passes", "password_length", "secretary", "n_heads", "seed", "token_dim", "mask_token"),
]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.yaml", "x: 1\nouter:\n- {}: hunter2 # really\n"),
        ("a.yml", 'outer: {{a: [1, {{"{}": "hunter2"}}]}}\n'),
        ("a.json", '{{"outer": {{"{}": "hunter2", "rate": 0.1}}}}'),
        ("a.json", '{{"{}": {{"inner": ["hunter2", 7]}}}}'),
        ("a.toml", '# kept\n[outer]\n"{}" = "hunter2"\n'),
        ("a.ini", "[db]\n{} = hunter2\n"),
        ("a.env", "export {}='hunter2'\n"),
        ("a.txt", "--x 1 --{}=hunter2\n"),
        ("a.yaml", "# {}: hunter2\nx: 1\n"),
        ("broken.yaml", "x: [\n{}: hunter2\n"),
        ("broken.json", '{{"{}": "hunter2",}}'),
        ("a.yaml", "a: !include b\n{}: hunter2\n"),
    ],
)
def test_a_secret_is_masked_in_every_form(name: str, text: str) -> None:
    for key in SECRETS:
        found, keys = config.masked(text.format(key), name)
        assert "hunter2" not in found, key
        assert "***" in found
        assert key in keys[0]


@pytest.mark.parametrize(
    ("name", "text"), [("a.yaml", "{}: hunter2\n"), ("a.json", '{{"{}": "hunter2"}}'), ("a", "{}=hunter2")]
)
def test_what_only_sounds_secret_stays(name: str, text: str) -> None:
    for key in PLAIN:
        assert config.masked(text.format(key), name) == (text.format(key), ())


@pytest.mark.parametrize(
    "value", ["${HF_TOKEN}", "$HF_TOKEN", '""', "null", "", "${oc.env:HF_TOKEN}", "true", "<yours>"]
)
@pytest.mark.parametrize("name", ["a.yaml", "a.txt"])
def test_a_reference_is_no_secret(value: str, name: str) -> None:
    text = f"token: {value}\nrate: 1\n"
    assert config.masked(text, name) == (text, ())


@pytest.mark.parametrize(
    "text",
    [
        "x: AKIAABCDEFGHIJKLMNOP",
        "x: ghp_" + "a" * 36,
        "x: hf_" + "a" * 34,
        "- sk-proj-" + "a" * 40,
        "x: eyJhbGciOiJIUzI1.eyJzdWIiOiIxMjM0.c2lnbmF0dXJl",
        "x: |\n  -----BEGIN RSA PRIVATE KEY-----\n  AAAA\n  -----END RSA PRIVATE KEY-----\n",
        "url: https://user:hunter2@db.example.org/x",
        "url: postgres://user:hunter2@db.example.org/x",
        "url: https://s3.example.org/a?X-Amz-Signature=abc",
    ],
)
def test_a_secret_is_known_by_its_looks_too(text: str) -> None:
    found, keys = config.masked(text, "a.yaml")
    assert "***" in found
    assert len(keys) == 1
    for part in ("AAAA", "aaaaaa", "hunter2", "ABCDEF", "c2ln", "=abc"):
        assert part not in found


def test_aliases_of_yaml_are_looked_at_once() -> None:
    bomb = "a0: &a0 {password: hunter2}\n" + "".join(
        f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 9)
    )
    found, _ = config.masked(bomb, "a.yaml")
    assert "hunter2" not in found


def test_a_config_without_secrets_is_kept_byte_for_byte(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    data = b"# comment\r\nrate:   0.1\nname: \xc3\xa9\n"
    Path("conf dir").mkdir()
    Path("conf dir/n\u00e4me.yaml").write_bytes(data)
    Path("run").mkdir()
    found = config.keep([Path("conf dir/n\u00e4me.yaml")], Path("run"))
    assert found == (
        ConfigFile("conf dir/n\u00e4me.yaml", hashlib.sha256(data).hexdigest(), "config/conf dir/n\u00e4me.yaml"),
    )
    assert Path("run/config/conf dir/n\u00e4me.yaml").read_bytes() == data


def test_copies_stay_inside_and_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.json").write_text('{"a": 1, "token": "hunter2"}')
    (tmp_path / "work/x").mkdir(parents=True)
    (tmp_path / "work/a.json").write_text("[]")
    (tmp_path / "work/x/a.json").write_bytes(b"\xff")
    monkeypatch.chdir(tmp_path / "work")
    run = tmp_path / "run"
    given = [Path("../a.json"), tmp_path / "a.json", Path("a.json"), Path("x/a.json")]
    found = config.keep(given, run)
    assert [one.copy for one in found] == ["config/a.json", "config/2/a.json", "config/3/a.json", ""]
    assert [one.masked for one in found] == [("token",), ("token",), (), ()]
    assert json.loads((run / "config/a.json").read_text()) == {"a": 1, "token": "***"}
    assert found[0].sha256 == hashlib.sha256(b'{"a": 1, "token": "hunter2"}').hexdigest()
    with pytest.raises(UserError, match="--config nowhere: cannot be read"):
        config.keep([Path("nowhere")], run)


def test_the_rest_of_a_masked_file_says_the_same() -> None:
    text = "a: &x {rate: 1.0e-06, on: true}\nb: *x\nwhen: 2026-11-30\npassword: 12345\n"
    found, keys = config.masked(text, "a.yaml")
    assert keys == ("password",)
    assert yaml.safe_load(found) == {**yaml.safe_load(text), "password": "***"}


@pytest.mark.parametrize(
    ("words", "kept", "options"),
    [
        (["python", "t.py", "--token", "hunter2"], ["python", "t.py", "--token", "***"], ("--token",)),
        (["t", "--api-key=hunter2", "-x"], ["t", "--api-key=***", "-x"], ("api-key",)),
        (["env", "HF_TOKEN=hunter2", "t"], ["env", "HF_TOKEN=***", "t"], ("HF_TOKEN",)),
        (["t", "db.password=hunter2"], ["t", "db.password=***"], ("db.password",)),
        (["t", "https://u:hunter2@h.example.org/"], ["t", "https://***@h.example.org/"], ("a login in an address",)),
        (["t", "--token", "--pad_token", "x", "key=1"], ["t", "--token", "--pad_token", "x", "key=1"], ()),
    ],
)
def test_a_command_is_kept_without_secrets(words: list[str], kept: list[str], options: tuple[str, ...]) -> None:
    assert config.masked_words(words) == (tuple(kept), options)


SECRET = "api_key: 'hunter2'\n"
PIECE = 1 << 14


@pytest.fixture
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(config, "_PIECE", PIECE)


@pytest.mark.parametrize(
    "content",
    [
        SECRET.encode(),
        b"\xfa\xff not UTF-8 \xe9\n" + SECRET.encode(),
        *(SECRET.encode(encoding) for encoding in ("utf-16", "utf-16-le", "utf-16-be", "utf-32")),
        b"\0\1\2" * 500 + b"x = 'ghp_" + b"a" * 36 + b"'\0",
        b"\xc4\xb0" * 500 + b"\n" + SECRET.encode(),  # a letter that is two in small letters
        b"x" * (PIECE - 16) + b"\n" + SECRET.encode(),  # over the border of two pieces
        *((b"n = 7\n" * 4_000)[: PIECE - before] + b"\n" + SECRET.encode() + b"n = 7\n" * 99 for before in range(25)),
        (b"n: 7, " * 50_000) + SECRET.encode(),  # a long line
    ],
    ids=lambda content: f"{len(content)}-{zlib.crc32(content):x}",
)
@pytest.mark.parametrize("name", ["a.py", "a.yaml"])
@pytest.mark.usefixtures("small_pieces")
def test_a_secret_is_found_in_a_file_of_any_size_and_encoding(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    assert len(config.secrets(tmp_path / name)) == 1


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"api_key",
        b"\xff\xfe",
        *(b"n" * (PIECE - at) + b"pad_token: 'hunter2'\n" for at in range(25)),  # "token" begins the second piece
        gzip.compress(SECRET.encode() * 3, compresslevel=0, mtime=0),  # what is compressed is not looked into
    ],
    ids=lambda content: f"{len(content)}-{zlib.crc32(content):x}",
)
@pytest.mark.usefixtures("small_pieces")
def test_a_file_without_secrets_has_none_whatever_its_size(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.py").write_bytes(content)
    assert config.secrets(tmp_path / "a.py") == ()


@pytest.mark.heavy
def test_of_a_file_in_which_secrets_are_looked_for_a_piece_is_in_memory(tmp_path: Path) -> None:
    with (tmp_path / "a.py").open("wb") as file:
        file.seek(96 << 20)
        file.write(SECRET.encode())
    limit = 64 << 20
    code = "import sys, pathlib; from nixgen.runs import config; print(config.secrets(pathlib.Path(sys.argv[1])))"
    done = subprocess.run(
        [sys.executable, "-c", code, tmp_path / "a.py"],
        check=True,
        capture_output=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_DATA, (limit, limit)),
    )
    assert done.stdout == b"('api_key',)\n"
