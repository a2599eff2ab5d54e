"""The CALFIN archive by its DOI: files, sizes and checksums from the repository's own listing.

The data of Cheng et al. 2021 lie in Dryad (doi:10.7280/D1FH5D). pooch resolves DOIs of other
repositories only, so the listing is asked for here; pooch downloads and verifies. Dryad shows its
listings to everyone, but lets only accounts download through its API (``ICECTL_DRYAD_TOKEN``).
"""

import os
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import quote, urljoin

import requests

from icectl.errors import DataError, WorkError
from icectl.run import Run
from icectl.sources.archive import TIMEOUT, retrieve, unpacked
from icectl.sources.catalogue import Scene
from icectl.sources.remote import Patience, reason, session
from icectl.tasks.front.files.pairs import Pair, as_scene, describe_name

DOI = "10.7280/D1FH5D"
API = "https://datadryad.org"
"""Overridden by ``ICECTL_DRYAD`` (a mirror, or a server in a test)."""

MOST_FILES = 10_000
BY_HAND = "download the files in a browser and name their folder with --scenes"
MASK = "_mask"


def fetch_calfin(run: Run) -> list[Scene]:
    """Download, verify and unpack the archive into ``run.out``; return its labelled images.

    A pair is ``NAME.png`` with ``NAME_mask.png``. Files that are whole already are not fetched again.

    WorkError: the repository does not answer, or a file's checksum is wrong. DataError: the archive holds
    no pair.
    """
    folder = run.out / "archive"
    for entry in listing(DOI):
        path = _fetch(entry, folder)
        if path.suffix == ".zip":
            unpacked(path)
    pairs: list[Pair] = []
    for mask in sorted(folder.rglob(f"*{MASK}.png")):
        image = mask.with_name(mask.name.replace(MASK, ""))
        if image.is_file():
            time, dated, facts = describe_name(image, len(pairs))
            facts = {"glacier": image.stem.split("_")[0].lower(), **facts}
            pairs.append(Pair(image.stem, image, mask, time, dated, facts))
    if not pairs:
        raise DataError(f"doi:{DOI} holds no image with a mask beside it", "its layout may have changed")
    return [as_scene(pair) for pair in pairs]


def listing(doi: str) -> list[dict[str, Any]]:
    """Return name, checksum (``"sha256:…"``) and address of each file of a data set's last version."""
    base = os.environ.get("ICECTL_DRYAD", API)
    about = _json(f"{base}/api/v2/datasets/{quote(f'doi:{doi}', safe='')}")
    files: list[dict[str, Any]] = []
    try:
        version = _json(urljoin(base, about["_links"]["stash:version"]["href"]))
        page: str | None = version["_links"]["stash:files"]["href"]
        while page is not None and len(files) < MOST_FILES:
            answer = _json(urljoin(base, page))
            files += [
                {
                    "name": PurePosixPath(about["path"]).name,
                    "hash": f"{about['digestType'].replace('-', '')}:{about['digest']}",
                    "url": urljoin(base, about["_links"]["stash:download"]["href"]),
                }
                for about in answer["_embedded"]["stash:files"]
            ]
            page = answer.get("_links", {}).get("next", {}).get("href")
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise WorkError(
            f"the listing of doi:{doi} at {base} is not understood ({type(error).__name__}: {error})", BY_HAND
        ) from error
    return files


def _fetch(entry: Mapping[str, Any], folder: Path) -> Path:
    """Fetch one file; say what Dryad wants where it turns a stranger away."""
    try:
        return retrieve(
            entry["url"], folder, name=entry["name"], checksum=entry["hash"], headers=_authorisation()
        )
    except WorkError as error:
        answer = getattr(error.__cause__, "response", None)
        if answer is None or answer.status_code not in (401, 403):
            raise
        raise WorkError(
            f"{entry['name']} may not be downloaded: the server answered {answer.status_code}",
            f"Dryad's API wants an account: set ICECTL_DRYAD_TOKEN to a token of yours, or {BY_HAND}",
        ) from error


def _authorisation() -> dict[str, str]:
    token = os.environ.get("ICECTL_DRYAD_TOKEN", "")
    return {"Authorization": f"Bearer {token}"} if token else {}


def _json(url: str) -> Any:
    try:
        with session(Patience(attempts=1), url) as http:
            answer = http.get(url, timeout=TIMEOUT, headers=_authorisation())
            answer.raise_for_status()
            return answer.json()
    except (requests.RequestException, ValueError) as error:
        raise WorkError(
            f"the listing {url} cannot be read: {reason(error)}",
            "check the network, or try later",
        ) from error
