# ruff: noqa: E501 -- a setting and its sentence stand side by side
from __future__ import annotations

import tomllib
from dataclasses import fields

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nixgen.errors import UserError
from nixgen.project.settings import PackageSettings, Settings

WHERE = "pyproject.toml: tool.nixgen"


def problems(text: str) -> list[str]:
    with pytest.raises(UserError) as caught:
        Settings.parse(tomllib.loads(text))
    return [str(problem) for problem in caught.value.problems]


def test_an_empty_table_gives_the_defaults() -> None:
    assert Settings.parse({}) == Settings(
        base="nixpkgs",
        python=None,
        systems=None,
        suite=None,
        nixpkgs=None,
        groups=None,
        extras=(),
        all_extras=False,
        libraries=(),
        tools=(),
        macos="14.0",
    )


def test_a_whole_version_of_python() -> None:
    found = Settings.parse({"python": "3.13.9"})
    assert (found.python, found.python_full) == ("3.13", "3.13.9")
    assert "python-full" in problems('python-full = "3.13.9"')[0]


def test_every_key_is_read() -> None:
    text = """
        base = "debian"
        python = "3.11"
        systems = ["x86_64-linux", "aarch64-linux", "x86_64-linux"]
        suite = "bookworm"
        groups = []
        extras = ["plot"]
        libraries = ["libgl1", "libstdc++6"]
        tools = ["git"]
        macos = "15.2"
        skip-imports = ["plot_qt"]
        smoke = ["python -m plot", "python -m plot", "true"]
        cuda = "off"
        scripts = ["tools/deep/report.py"]
    """
    assert Settings.parse(tomllib.loads(text)) == Settings(
        base="debian",
        python="3.11",
        systems=("aarch64-linux", "x86_64-linux"),
        suite="bookworm",
        groups=(),
        extras=("plot",),
        libraries=("libgl1", "libstdc++6"),
        tools=("git",),
        macos="15.2",
        skip_imports=("plot_qt",),
        smoke=("python -m plot", "python -m plot", "true"),
        cuda="off",
        scripts=("tools/deep/report.py",),
    )


def test_a_revision_of_nixpkgs_is_a_rev_and_a_hash() -> None:
    revision = {"rev": "a" * 40, "narHash": "sha256-" + "A" * 43 + "="}
    assert Settings.parse({"nixpkgs": revision}).nixpkgs == revision
    timed = {**revision, "lastModified": 1700000000}
    assert Settings.parse({"nixpkgs": timed}).nixpkgs == timed


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ('bsae = "debian"', f"{WHERE}.bsae: is not a setting of nixgen\n  hint: did you mean base?"),
        ("all_extras = true", f"{WHERE}.all_extras: is not a setting of nixgen\n  hint: did you mean all-extras?"),
        ('base = "debain"', f'{WHERE}.base: "debain" is not known\n  hint: did you mean debian?'),
        ('base = "arch"', f'{WHERE}.base: "arch" is not known\n  hint: use one of nixpkgs, debian'),
        ('cuda = "of"', f'{WHERE}.cuda: "of" is not known\n  hint: did you mean off?'),
        ("cuda = false", f'{WHERE}.cuda: is a boolean, not a string\n  hint: write "auto"'),
        ("python = 3.11", f'{WHERE}.python: is a number, not a string\n  hint: write "3.11"'),
        (
            'python = "3.11.4.1"',
            f'{WHERE}.python: "3.11.4.1" is not a Python version\n  hint: write it like "3.11"',
        ),
        ('groups = "dev"', f'{WHERE}.groups: is a string, not a list\n  hint: write ["dev"]'),
        ("groups = [1]", f'{WHERE}.groups[0]: is a number, not a string\n  hint: write "dev"'),
        ('extras = ["a", "-b"]', f'{WHERE}.extras[1]: "-b" is not an extra\'s name\n  hint: write it like "plot"'),
        ('all-extras = "yes"', f"{WHERE}.all-extras: is a string, not a boolean\n  hint: write true or false"),
        ("systems = []", f"{WHERE}.systems: names no system\n  hint: remove it to have all of the base's"),
        (
            'systems = ["x86-linux"]',
            f'{WHERE}.systems[0]: "x86-linux" is not a system\n  hint: did you mean x86_64-linux?',
        ),
        (
            'suite = "bookworm"',
            f'{WHERE}.suite: is a setting of the debian base, and the base is nixpkgs\n  hint: remove it, or set base = "debian"',
        ),
        (
            'nixpkgs = {rev = "main"}',
            f'{WHERE}.nixpkgs.rev: "main" is not 40 hexadecimal digits\n  hint: copy it from nix flake metadata --json',
        ),
        (
            f'nixpkgs = {{rev = "{"a" * 40}"}}',
            f'{WHERE}.nixpkgs: lacks narHash\n  hint: write {{rev = "…", narHash = "sha256-…"}}',
        ),
        (
            f'nixpkgs = {{rev = "{"a" * 40}", narHash = "sha256-{"A" * 43}=", lastModified = 0}}',
            f"{WHERE}.nixpkgs.lastModified: is not a time in Unix seconds\n  hint: copy it from nix flake metadata --json",
        ),
        ('macos = "14"', f'{WHERE}.macos: "14" is not a macOS version of two numbers\n  hint: write it like "14.0"'),
        (
            'smoke = ["true", " "]',
            f"{WHERE}.smoke[1]: is not a command\n  hint: write it like 'python -c \"import demo\"'",
        ),
        (
            'smoke = ["a\\u0000b"]',
            f"{WHERE}.smoke[0]: is not a command\n  hint: write it like 'python -c \"import demo\"'",
        ),
        ('smoke = "true"', f"{WHERE}.smoke: is a string, not a list\n  hint: write ['python -c \"import demo\"']"),
        ("image.layers = 500", f"{WHERE}.image.layers: 500 is out of range\n  hint: write a number between 8 and 120"),
        ("image.ports = [0]", f"{WHERE}.image.ports: 0 is out of range\n  hint: write a number between 1 and 65535"),
        (
            'image.user = "app"',
            f'{WHERE}.image.user: "app" is not a user and a group, as numbers\n  hint: write it like "1000:1000"',
        ),
        (
            'image.labels = {"A b" = ""}',
            f'{WHERE}.image.labels.A b: is not a label\'s name\n  hint: write it like {{"com.example.team" = "…"}}',
        ),
        ("image.port = 1", f"{WHERE}.image.port: is not a setting of images\n  hint: did you mean ports?"),
        ('tools = ["a b"]', f'{WHERE}.tools[0]: "a b" is not a package\'s name\n  hint: write it like "git"'),
    ],
)
def test_what_is_wrong_is_said_with_what_mends_it(text: str, sentence: str) -> None:
    found = problems(text)
    assert sentence in found


def test_all_problems_are_told_at_once() -> None:
    assert len(problems('bsae = "debian"\npython = 3\nsystems = ["arm"]\nmacos = []')) == 4


def test_the_debian_base_serves_no_mac() -> None:
    found = problems('base = "debian"\nsystems = ["aarch64-darwin"]')
    assert found == [
        f"{WHERE}.systems: the debian base cannot serve aarch64-darwin\n  hint: take it out, or use the nixpkgs base"
    ]


toml_values = st.recursive(
    st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)
keys = st.sampled_from([field.name.replace("_", "-") for field in fields(Settings)]) | st.text(max_size=8)


@given(st.dictionaries(keys, toml_values, max_size=6))
def test_any_table_is_settings_or_a_user_error(table: dict[str, object]) -> None:
    try:
        settings = Settings.parse(table)
    except UserError as error:
        assert error.problems  # noqa: PT017 -- both ends are right; only another exception is wrong
    else:
        assert settings.base in {"nixpkgs", "debian"}


def test_what_a_package_needs_to_build() -> None:
    found = Settings.parse(
        tomllib.loads("""
            [packages.Psycopg2]
            build-libraries = ["libpq-dev"]
            env = {B = "2", A = "1"}
            [packages."my.solver"]
            build-libraries = ["libopenblas-dev", "libpq-dev"]
            build-tools = ["gfortran"]
            patches = ["patches/a.patch", "b.patch"]
            timeout = 60
            [packages.nothing]
        """)
    )
    assert found.packages == {
        "my-solver": PackageSettings(
            ("libopenblas-dev", "libpq-dev"), ("gfortran",), patches=("patches/a.patch", "b.patch"), timeout=60
        ),
        "nothing": PackageSettings(),
        "psycopg2": PackageSettings(("libpq-dev",), env={"A": "1", "B": "2"}),
    }
    assert found.build_libraries == ("libopenblas-dev", "libpq-dev")
    assert found.build_tools == ("gfortran",)


def test_all_that_is_wrong_with_packages_is_told_at_once() -> None:
    text = """
        base = "debain"
        [packages]
        a_b = {build-tool = ["cmake"], timeout = 0, patches = ["../out.patch"]}
        a-b = {}
        "-x" = {}
        y = ["cmake"]
        z = {env = {HOME = "/root"}, build-libraries = ["bad name"]}
    """
    assert problems(text) == [
        f'{WHERE}.base: "debain" is not known\n  hint: did you mean debian?',
        f"{WHERE}.packages.a_b.build-tool: is not a setting of a package\n  hint: did you mean build-tools?",
        f"{WHERE}.packages.a_b.timeout: 0 is not a number of seconds\n  hint: write a number between 1 and 604800",
        f'{WHERE}.packages.a_b.patches[0]: "../out.patch" is not a path in the project\n  hint: write it like ["patches/name.patch"]',
        f"{WHERE}.packages.a-b: is there twice, as a-b, too\n  hint: make one table of the two",
        f"{WHERE}.packages.-x: is not a distribution's name\n  hint: write it like psycopg2",
        f"{WHERE}.packages.y: is not a table\n  hint: write [tool.nixgen.packages.y]",
        f'{WHERE}.packages.z.env.HOME: is set by nixgen itself\n  hint: write it like {{WITH_SSL = "1"}}',
        f'{WHERE}.packages.z.build-libraries[0]: "bad name" is not a package\'s name\n  hint: write it like "libpq-dev"',
    ]
    assert problems('packages = ["a"]') == [
        f'{WHERE}.packages: is a list, not a table\n  hint: write [tool.nixgen.packages.NAME], and below it build-libraries = ["libpq-dev"]'
    ]


def test_environments_take_from_the_project_what_they_do_not_say() -> None:
    found = Settings.parse(
        tomllib.loads("""
        groups = ["dev"]
        extras = ["plot"]
        systems = ["x86_64-linux", "aarch64-linux"]
        smoke = ["true"]
        [environments.gpu]
        extras = ["cu128"]
        systems = ["x86_64-linux"]
        [environments.docs]
        groups = ["docs"]
        smoke = ["mkdocs --version"]
        [environments.every]
        all-extras = true
    """)
    )
    assert list(found.environments) == ["docs", "every", "gpu"]
    gpu, docs, every = (found.of(name) for name in ("gpu", "docs", "every"))
    assert (gpu.extras, gpu.groups, gpu.systems, gpu.smoke) == (("cu128",), ("dev",), ("x86_64-linux",), ())
    assert (docs.extras, docs.groups, docs.systems) == (("plot",), ("docs",), None)
    assert (every.extras, every.all_extras) == ((), True)
    assert (gpu.environment, gpu.table) == ("gpu", "tool.nixgen.environments.gpu")
    assert (found.environment, found.table, gpu.environments) == ("", "tool.nixgen", {})


def test_all_that_is_wrong_with_environments_is_told_at_once() -> None:
    text = """
        systems = ["x86_64-linux"]
        [environments]
        default = {}
        "a.b" = {}
        models = {extras = ["a"]}
        list = []
        gpu = {extra = ["a"], systems = ["x86-linux"]}
        [environments.both]
        extras = ["a"]
        all-extras = true
        systems = ["aarch64-linux"]
    """
    taken = "is the name of something else in default.nix\n  hint: give it another name, like gpu"
    assert problems(text) == [
        f"{WHERE}.environments.default: {taken}",
        f"{WHERE}.environments.a.b: is not a name that an environment can have\n"
        "  hint: use letters, digits, - and _, and begin with a letter: gpu",
        f"{WHERE}.environments.models: {taken}",
        f"{WHERE}.environments.list: is not a table\n  hint: write [tool.nixgen.environments.list]",
        f"{WHERE}.environments.gpu.extra: is not a setting of an environment\n  hint: did you mean extras?",
        f'{WHERE}.environments.gpu.systems[0]: "x86-linux" is not a system\n  hint: did you mean x86_64-linux?',
    ]
    text = """
        systems = ["x86_64-linux"]
        [environments.both]
        extras = ["a"]
        all-extras = true
        systems = ["aarch64-linux"]
    """
    assert problems(text) == [
        f"{WHERE}.environments.both.extras: says nothing that all-extras does not say\n  hint: keep one of the two",
        f"{WHERE}.environments.both.systems: aarch64-linux is not one of the project's systems: x86_64-linux\n"
        "  hint: take it out, or add it to tool.nixgen.systems",
    ]
