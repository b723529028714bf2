"""Works out the digests of layers, or, of the layers of all parts, the files of an image. No layer is written.

Input: the file of structured attributes, with a closure that Nix adds, ``graph``; what is in other ``parts`` is not in this one.
With ``image`` it is the last part, and the image's.
"""

import base64
import glob
import json
import os
import sys
import tempfile

# Nix 2.8 names it in NIX_ATTRS_JSON_FILE by its place outside of the sandbox.
with open(f"{os.environ['NIX_BUILD_TOP']}/.attrs.json", encoding="utf-8") as file:
    ATTRIBUTES = json.load(file)
OUT = ATTRIBUTES["outputs"]["out"]
FOLDER = tempfile.mkdtemp()
with open(ATTRIBUTES["modules"], encoding="utf-8") as file:
    for name, text in json.load(file).items():
        os.makedirs(os.path.dirname(f"{FOLDER}/{name}"), exist_ok=True)
        with open(f"{FOLDER}/{name}", "w", encoding="utf-8") as module:
            module.write(text)
sys.path.insert(0, FOLDER)
sys.dont_write_bytecode = True

from pathlib import Path

import base32
from oci import layers, model, parts, stored


def graph():
    """A closure that Nix has told, its hashes in one spelling."""

    def sri(text):
        digest = text.removeprefix("sha256:")
        return text if digest == text else "sha256-" + base64.b64encode(base32.decode(digest)).decode()

    return [{**path, "narHash": sri(path["narHash"])} for path in ATTRIBUTES["graph"]]


def part(name):
    with open(f"{name}/layers.json", encoding="utf-8") as file:
        return json.load(file)


def certificates(environment):
    """Those of the package certifi, where the environment has it."""
    return next(iter(sorted(glob.glob(f"{environment}/lib/python3*/site-packages/certifi/cacert.pem"))), None)


def main():
    threads = 2 if int(os.environ.get("NIX_BUILD_CORES") or 0) != 1 else 1
    parted = [layer for name in ATTRIBUTES.get("parts", []) for layer in part(name)]
    without = {path["path"] for layer in parted for path in layer["paths"]}
    try:
        found = [layers.described(layer, "", threads) for layer in parts.layers(ATTRIBUTES["part"], graph(), without, ATTRIBUTES["most"])]
    except model.Unequal as error:
        sys.exit(f"error: {error}\n  hint: {error.mend}")
    wanted = ATTRIBUTES.get("image")
    if wanted is None:
        os.mkdir(OUT)
        with open(f"{OUT}/layers.json", "w", encoding="utf-8") as file:
            json.dump(found, file, sort_keys=True)
        return
    links, settings = dict(wanted["links"]), dict(wanted["config"])
    bundle = links.get("etc/ssl/certs/ca-certificates.crt") or certificates(wanted["environment"])
    if bundle:
        links["etc/ssl/certs/ca-certificates.crt"] = bundle
        settings["Env"] = sorted([*settings["Env"], "SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt"])
    settings["Labels"] = {**wanted["annotations"], "nixgen.closure": parts.closure_digest(graph())}
    rows = [layers.described(parts.system(links), "", 1), *parted, *found]
    plan = {"version": 1, "name": wanted["name"], "platform": wanted["platform"], "annotations": settings["Labels"], "layers": rows}
    stored.write(Path(OUT), plan, parts.config(wanted["platform"], settings, rows))


main()
