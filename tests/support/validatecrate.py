"""Run by the environment of support/crates.py: prints as JSON what roc-validator finds in a crate.

It asks nobody: the one context that a crate of nixgen refers to comes with the package rocrate.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import requests  # type: ignore[import-untyped, unused-ignore]
import rocrate  # type: ignore[import-not-found, unused-ignore]
from rocrate.rocrate import ROCrate  # type: ignore[import-not-found, unused-ignore]
from rocrate_validator import models, services  # type: ignore[import-not-found, unused-ignore]
from rocrate_validator.utils.http import HttpRequester  # type: ignore[import-not-found, unused-ignore]

CONTEXT = "https://w3id.org/ro/crate/1.1/context"


def get(_self: HttpRequester, url: str, **_options: object) -> requests.Response:
    assert url == CONTEXT, url
    found = requests.Response()
    found.status_code = 200
    found._content = Path(rocrate.__file__).with_name("data").joinpath("ro-crate.jsonld").read_bytes()
    found.headers["Content-Type"] = "application/ld+json"
    return found


HttpRequester.get = get
crate = sys.argv[1]
settings = services.ValidationSettings(
    rocrate_uri=crate,
    profile_identifier="process-run-crate",
    requirement_severity=models.Severity.RECOMMENDED,
)
found: dict[str, list[str]] = {"required": [], "recommended": []}
for issue in services.validate(settings).get_issues():
    found[issue.severity.name.lower()].append(f"{issue.check.identifier} {issue.violatingEntity} {issue.message}")
read = ROCrate(crate)  # the library that most people read crates with
print(json.dumps(found | {"read": sorted(entity.id for entity in read.data_entities)}))
