"""What leaves the machine: an image pushed again, an archive that has all, and a bundle beside tar."""

from __future__ import annotations

import json
import shlex
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

from support import debianregistry

from bench.evaluation import through, version
from bench.measure import Row, show, timed, within
from bench.project import CACHE, NIXGEN, nix_versions, nixgen, notebook
from nixgen.bundle import start

FILES = 400
SENT = 1_000_000  # bytes
CHANGE = "date +'# %s.%N' >>day.py && exec \"$0\" image build --quiet"
MORE = ("dask[complete]", "fastapi[standard]", "mlflow", "psycopg[binary]", "spacy", "sphinx", "statsmodels",
        "streamlit", "xarray", "boto3", "sqlalchemy", "tables", "scikit-image", "networkx", "nltk")  # fmt: skip


def pushing() -> list[Row]:
    """The notebook's image into Debian's registry on this machine, each time after a change of its code."""
    folder, nix = _copy("pushing"), nix_versions()[-1]
    build = ["sh", "-c", CHANGE, NIXGEN]
    run = through(nix)
    with tempfile.TemporaryDirectory() as made, debianregistry.registry(Path(made)) as address:
        push = [NIXGEN, "image", "push", f"{address}/team/notebook", "--json"]
        run(*push, cwd=folder)
        (series,) = timed([push], 7, before=[build], cwd=folder, through=run)
        run(*build, cwd=folder)
        sent = json.loads(run(*push, cwd=folder))["sent"]
    what = f"of the notebook's image after a change of its code, Nix {version(nix)}"
    return [
        within(f"`nixgen image push` {what}", series, 1.0, "Debian's registry on loopback; the image is built"),
        Row(f"sent {what}", f"{sent / 1000:.0f} kB", f"< {SENT // 1_000_000} MB", 0 < sent < SENT),
    ]


def archiving() -> list[Row]:
    """A project of many wheels for two systems, whose archive has all of them."""
    folder, nix = _wide(), nix_versions()[-1]
    run = through(nix)
    with tempfile.TemporaryDirectory() as archive:
        listed = run(sys.executable, "-m", "bench.shipping", str(folder), archive, cwd=Path(__file__).parents[1])
        push = [NIXGEN, "archive", "push", archive]
        (series,) = timed([push], 11, warm=2, cwd=folder, through=run)
    return [
        within(f"`nixgen archive push`, nothing new, {int(listed)} files, Nix {version(nix)}", series, 1.0),
        *([] if int(listed) >= FILES else [Row("files of that project", listed.strip(), f"≥ {FILES}", kept=False)]),
    ]


def bundling() -> list[Row]:
    """A bundle of the notebook beside tar of the same store paths, through gzip at the same level and through zstd."""
    folder, nix = _copy("bundling"), nix_versions()[-1]
    run, place = through(nix), CACHE / "notebook.nixgen"
    create = [NIXGEN, "bundle", "create", "--out", str(place), "--quiet"]
    place.unlink(missing_ok=True)
    run(*create, cwd=folder)
    size = place.stat().st_size
    with place.open("rb") as file:
        file.seek(start.SIZE)
        with tarfile.open(fileobj=file, mode="r|gz") as whole:
            first = whole.next()
            paths = sorted(json.load(whole.extractfile(first) or file)["paths"]) if first else []
    tar = f"tar --create --directory /nix/store {shlex.join(paths)}"
    others = [["sh", "-c", f"{tar} | {program} >{place}.other"] for program in ("gzip -6", "zstd -3 --quiet")]
    times = timed([create, *others], 1, before=[["rm", str(place)], None, None], warm=0, cwd=folder, through=run)
    zstd = Path(f"{place}.other").stat().st_size
    place.unlink()
    Path(f"{place}.other").unlink()
    what = f"`nixgen bundle create`, notebook, {len(paths)} paths, each compared with its NAR hash"
    ours, gzip, other = (series.median for series in times)
    measured = f"{ours / gzip:.2f} times ({show(ours)}; `tar` into `gzip -6`: {show(gzip)}; one run each)"
    return [Row(what, measured, note=f"{size >> 20} MiB; `tar` into `zstd -3`: {show(other)}, {zstd >> 20} MiB")]


def _copy(name: str) -> Path:
    """The notebook, whose code may be changed; its image runs it."""
    folder = CACHE / f"notebook-{name}"
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(notebook("debian"), folder, symlinks=True)
    settings = folder / "pyproject.toml"
    settings.write_text(settings.read_text().replace("[tool.nixgen]\n", '[tool.nixgen]\nrun = "python day.py"\n'))
    nixgen(folder, "generate", "--quiet")
    subprocess.run(["git", "add", "--all"], cwd=folder, check=True)
    return folder


def _wide() -> Path:
    """The notebook with more dependencies; made once. None of them is fetched."""
    folder = CACHE / "wide"
    if not (folder / "default.nix").exists():
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        text = (notebook("debian") / "pyproject.toml").read_text()
        more = "".join(f'    "{name}",\n' for name in MORE)
        text = text.replace("dependencies = [\n", f"dependencies = [\n{more}")
        (folder / "pyproject.toml").write_text(text)
        subprocess.run(["git", "init", "--quiet"], cwd=folder, check=True)
        nixgen(folder, "init", "--base", "debian", "--python", "3.11", "--quiet")
    nixgen(folder, "generate", "--quiet")
    return folder


def main(folder: str, archive: str) -> int:
    """Names every source of a project in an archive, without its bytes, as a push finds them; prints how many."""
    from nixgen.archive import sources
    from nixgen.nix.tools import Nix

    found = sources.of_project(Nix.here(), Path(folder), ("x86_64-linux", "aarch64-linux"))
    (Path(archive) / sources.FOLDER).mkdir()
    for one in found:
        (Path(archive) / one.place).touch()
    print(len({one.sha256 for one in found}))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2]))
