"""What icectl stands on: licences that fit Apache-2.0, and a software bill of materials (CycloneDX 1.5).

``python .ci/supply_chain.py --licences`` lists them and fails on one that is not known to fit;
``--sbom FILE`` writes the bill. Both read what is installed; nothing is asked of the network.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Iterator
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

from packaging.requirements import Requirement

FITTING = re.compile(
    r"\b(MIT|BSD|Apache|ISC|PSF|Python Software Foundation|MPL|Mozilla|HPND|PIL|Unlicense|Zlib|0BSD|CC0|"
    r"LGPL|Public Domain|CNRI|BSL|Boost|NVIDIA|Historical Permission)",
    re.IGNORECASE,
)
"""Licences under which a package may stand beside Apache-2.0 as a dependency that is not shipped with it."""


STATED = {"odc-stac": "Apache-2.0", "cuda-toolkit": "NVIDIA (comes with torch)"}
"""Licences of packages whose metadata says nothing, read in their LICENSE file."""


def needed(name: str, seen: dict[str, Distribution] | None = None) -> dict[str, Distribution]:
    """Return the installed distributions that `name` requires, directly or through others, by name."""
    seen = {} if seen is None else seen
    try:
        found = distribution(name)
    except PackageNotFoundError:
        return seen
    key = re.sub(r"[-_.]+", "-", found.metadata["Name"]).lower()
    if key in seen:
        return seen
    seen[key] = found
    for text in found.requires or []:
        asked = Requirement(text)
        if asked.marker is None or asked.marker.evaluate({"extra": ""}):
            needed(asked.name, seen)
    return seen


def licence(found: Distribution) -> str:
    """Return what a distribution says of its licence, in one line."""
    about = found.metadata
    own = [c for c in about.get_all("Classifier") or [] if c.startswith("License ::")]
    said = about.get("License-Expression") or "; ".join(c.split(" :: ")[-1] for c in own)
    said = said or about.get("License") or STATED.get(re.sub(r"[-_.]+", "-", about["Name"]).lower(), "")
    return said.strip().splitlines()[0][:80] if said.strip() else "unknown"


def unfitting(name: str = "icectl") -> Iterator[str]:
    """Yield what is not known to fit."""
    for key, found in sorted(needed(name).items()):
        if not FITTING.search(licence(found)):
            yield f"{key} {found.version}: {licence(found)}"


def bill(name: str = "icectl") -> dict[str, object]:
    """Return the bill of materials."""
    parts = [
        {
            "type": "library",
            "name": found.metadata["Name"],
            "version": found.version,
            "purl": f"pkg:pypi/{key}@{found.version}",
            "licenses": [{"license": {"name": licence(found)}}],
        }
        for key, found in sorted(needed(name).items())
    ]
    return {"bomFormat": "CycloneDX", "specVersion": "1.5", "version": 1, "components": parts}


def main() -> int:
    """Do what the flags say."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--licences", action="store_true")
    parser.add_argument("--sbom", type=Path)
    asked = parser.parse_args()
    if asked.sbom:
        asked.sbom.write_text(json.dumps(bill(), indent=1) + "\n")
    if not asked.licences:
        return 0
    for key, found in sorted(needed("icectl").items()):
        print(f"{key:40} {found.version:16} {licence(found)}")
    wrong = list(unfitting())
    print("\n".join(f"not known to fit: {line}" for line in wrong), file=sys.stderr)
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main())
