"""What a service does before it is the service: it compares its models and data with what is pinned, then becomes the
command, in the environment. Where a byte is another one, the command never starts (the guard tells the exit code).
"""

import json
import os
import shutil
import sys

import driver
import guard
import private

# They would lead Python or a library elsewhere.
FOREIGN = ("PYTHONPATH", "PYTHONHOME", "PYTHONNOUSERSITE", "PYTHONPYCACHEPREFIX", "TRANSFORMERS_CACHE", "PYTORCH_TRANSFORMERS_CACHE", "PYTORCH_PRETRAINED_BERT_CACHE", "SENTENCE_TRANSFORMERS_HOME")
CERTIFICATES = ("/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/ca-bundle.pem", "/etc/ssl/cert.pem")


def variables(settings, expected):
    """What is set for the command beside what is set already."""
    environment, source = settings["environment"], settings["source"]
    path = [f"{environment}/bin", *settings["tools"], *filter(None, [os.environ.get("PATH")])]
    found = {"PATH": ":".join(path), "VIRTUAL_ENV": environment, "NIXGEN_ROOT": source, "NIXGEN_LOCK": expected, **settings["variables"]}
    if settings["bytecode"]:
        # What Nix built, and no cache: a byte of one is as good as a byte of the code.
        found |= {"NIXGEN_BYTECODE": settings["bytecode"], "PYTHONDONTWRITEBYTECODE": "1"}
    if not settings["packaged"]:
        # Modules beside pyproject.toml: those that were built with the service, not those of the current folder.
        found |= {"PYTHONPATH": source, "PYTHONSAFEPATH": "1"}
    found |= driver.variables(settings["cuda"], [place for place in sys.path if place.endswith("/site-packages")])
    if "SSL_CERT_FILE" not in os.environ:
        found |= {"SSL_CERT_FILE": place for place in reversed(CERTIFICATES) if os.path.exists(place)}
    if "HF_HUB_CACHE" in settings["variables"]:
        folder = private.private_folder(os.getpid())
        found |= {"HF_HOME": folder, "HF_MODULES_CACHE": f"{folder}/modules"}
    return found


def main(folder):
    expected = f"{folder}/expected.json"
    with open(f"{folder}/settings.json", encoding="utf-8") as file:
        settings = json.load(file)
    for name in FOREIGN:
        os.environ.pop(name, None)
    found = variables(settings, expected)
    os.environ.update(found)
    for name in [name for name in ("LD_LIBRARY_PATH", "TRITON_LIBCUDA_PATH") if not found[name]]:
        del os.environ[name]
    with open(expected, encoding="utf-8") as file:
        pinned = json.load(file)["trees"]
    options = ["--expected", expected]
    # Where the stamp of a verification is kept; "no" for none (docs/guard.md).
    if stamp := os.environ.get("NIXGEN_STAMP"):
        options += ["--no-stamp"] if stamp == "no" else ["--stamp", stamp]
    if os.environ.get("NIXGEN_REPORT") == "json":
        options += ["--report", "json"]
    # This comes back only when the command did not start.
    command = [*settings["command"], *sys.argv[1:]]
    code = guard.main([*options, "--", *command]) if pinned else guard.become(command)
    if folder := found.get("HF_HOME"):
        shutil.rmtree(folder, ignore_errors=True)
    sys.exit(code)
