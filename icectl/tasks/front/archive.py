"""The CALFIN archive by its DOI: files, sizes and checksums from the repository's own listing.

The data of Cheng et al. 2021 lie in Dryad (doi:10.7280/D1FH5D). pooch resolves DOIs of other
repositories only, so the listing is asked for here; pooch downloads and verifies.
"""

from __future__ import annotations

import os
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urljoin

from icectl.errors import DataError, WorkError
from icectl.sources.archive import TIMEOUT, retrieve, unpacked
from icectl.sources.catalogue import Scene

if TYPE_CHECKING:
    from icectl.run import Run

DOI = "10.7280/D1FH5D"
API = "https://datadryad.org"
"""Overridden by ``ICECTL_DRYAD`` (a mirror, or a server in a test)."""

MASK = "_mask"


def fetch_calfin(run: Run) -> list[Scene]:
    """Download, verify and unpack the archive into ``run.out``; return its labelled images.

    A pair is ``NAME.png`` with ``NAME_mask.png``. Files that are whole already are not fetched again.

    Raises
    ------
    WorkError
        The repository does not answer, or a file's checksum is wrong.
    DataError
        The archive holds no pair.
    """
    from icectl.tasks.front.fetching import as_scene
    from icectl.tasks.front.pairs import Pair, describe_name

    folder = run.out / "archive"
    for entry in listing(DOI):
        path = retrieve(entry["url"], folder, name=entry["name"], checksum=entry["hash"])
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
    """Return name, size, checksum (``"md5:…"``) and address of each file of a data set's last version."""
    base = os.environ.get("ICECTL_DRYAD", API)
    about = _json(f"{base}/api/v2/datasets/{quote(f'doi:{doi}', safe='')}")
    version = _json(urljoin(base, about["_links"]["stash:version"]["href"]))
    files = _json(urljoin(base, version["_links"]["stash:files"]["href"]))["_embedded"]["stash:files"]
    return [
        {
            "name": PurePosixPath(file["path"]).name,
            "size": int(file["size"]),
            "hash": f"{file['digestType'].replace('-', '')}:{file['digest']}",
            "url": urljoin(base, file["_links"]["stash:download"]["href"]),
        }
        for file in files
    ]


def _json(url: str) -> Any:
    import requests

    try:
        answer = requests.get(url, timeout=TIMEOUT)
        answer.raise_for_status()
        return answer.json()
    except (requests.RequestException, ValueError) as error:
        raise WorkError(
            f"the listing {url} cannot be read: {error}", "check the network, or try later"
        ) from error
