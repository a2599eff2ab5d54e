"""Files by HTTP, whole and verified or not at all, and zip archives that are unpacked with care.

pooch downloads into a temporary file, verifies, and only then lets the file appear. Where no checksum is
published, that of the first download is recorded beside the file and holds from then on.
"""

import hashlib
import logging
import os
import re
import zipfile
from collections.abc import Mapping, Set
from pathlib import Path, PurePosixPath

import requests

from icectl.errors import DataError, UsageError, WorkError, worded
from icectl.sources.bounds import download
from icectl.workspace import building, own_folder, set_aside

TIMEOUT = 60
"""Seconds without a byte after which a download is given up."""

MAX_MEMBER = 8 * 2**30
"""Bytes a file of an archive may unpack to; larger ones are refused before anything is written."""

MAX_RATIO = 200
"""Bytes a member may unpack to per byte it takes: data do not shrink like a zip bomb."""

_DEEPEST = 32
"""Folders within folders; a name deeper than that is none of data."""

_MARK = re.compile(r"#sha256=([0-9a-f]{64})$")


def cache() -> Path:
    """Return the folder of downloads that all workspaces share: ``$ICECTL_CACHE``, else the user's cache."""
    named = os.environ.get("ICECTL_CACHE")
    if named:
        return Path(named)
    import pooch

    return Path(pooch.os_cache("icectl"))


def retrieve(
    url: str,
    folder: Path,
    *,
    name: str | None = None,
    checksum: str | None = None,
    headers: Mapping[str, str] | None = None,
) -> Path:
    """Return the file at `url`, fetched into `folder` unless it is there whole.

    Parameters
    ----------
    url
        ``http`` or ``https``, or ``doi:…/x.zip``; logins of ``~/.netrc`` are used.
    folder
        Where the file is kept.
    name
        Its name there; by default the last part of the address.
    checksum
        ``"algorithm:hex"``. None: that of the first download, which is recorded as ``NAME.sha256``.
    headers
        What the request carries besides, e.g. an authorisation; it is not sent on to other hosts.

    Raises
    ------
    WorkError
        The server does not answer, the download broke off, or the checksum is another.
    """
    import pooch

    name = name or PurePosixPath(url).name
    record = folder / f"{name}.sha256"
    known = checksum or (record.read_text().strip() if record.is_file() else None)
    pooch.get_logger().setLevel(logging.WARNING)
    try:

        def fetcher(address: str, file: str, _: object) -> None:
            with open(file, "wb") as opened:
                download(_resolved(address), opened, TIMEOUT, headers or {})

        path = Path(pooch.retrieve(url, known, fname=name, path=folder, downloader=fetcher))
    except (requests.RequestException, ValueError, OSError) as error:
        if "hash" in str(error):
            raise WorkError(
                f"{name} is not what was expected: its checksum is not {known}",
                f"try again; if it has been published anew, delete {record}" if not checksum else "try again",
            ) from error
        if isinstance(error, OSError) and error.filename and (said := worded(error)):
            raise said from error  # of this machine's files
        from icectl.sources.remote import reason

        raise WorkError(
            f"{url} could not be fetched: {reason(error)}", "check the network, and try again"
        ) from error
    if known is None:
        record.write_text(f"sha256:{pooch.file_hash(str(path))}\n")
    return path


def _resolved(address: str) -> str:
    """Return the web address of a file: of one that a DOI names, what its repository says."""
    if not address.startswith("doi:"):
        return address
    from pooch.downloaders import doi_to_repository
    from pooch.utils import parse_url

    if address.count("/") < 2:
        raise UsageError(f"{address} names no file", "add its name: doi:10.5281/zenodo.123/weights.zip")
    parts = parse_url(address)
    try:
        found = doi_to_repository(parts["netloc"], timeout=TIMEOUT)
        return str(found.download_url(parts["path"].removeprefix("/")))
    except LookupError as error:
        raise ValueError("its repository lists no files") from error


def fetched(address: str, kind: str) -> Path:
    """Return the file at an address, fetched into the cache that all workspaces share.

    Parameters
    ----------
    address
        ``https://…``, or ``doi:…/x.zip``; ``#sha256=`` and a checksum may follow.
    kind
        What it is: the folder of the cache. Within it each address has its own.

    Raises
    ------
    WorkError
        See `retrieve`.
    """
    mark = _MARK.search(address)
    url = address[: mark.start()] if mark else address
    own = hashlib.sha256(url.encode()).hexdigest()[:12]
    return retrieve(url, cache() / kind / own, checksum=f"sha256:{mark[1]}" if mark else None)


def unpack(archive: Path, folder: Path) -> None:
    """Unpack a zip archive into `folder` after checking every member's name, kind and size.

    Raises
    ------
    DataError
        It is damaged, or holds a name that leaves `folder`, a link, or a file that is absurdly large.
    """
    try:
        with zipfile.ZipFile(archive) as opened:
            members = opened.infolist()
            files = {PurePosixPath(member.filename) for member in members if not member.is_dir()}
            for member in members:
                _check(archive, member, files)
            if sum(member.compress_size for member in members) > archive.stat().st_size:
                raise DataError(f"{archive}: its files overlap, as in a zip bomb", "do not trust it")
            opened.extractall(folder)
    except (zipfile.BadZipFile, EOFError, RuntimeError) as error:
        raise DataError(f"{archive} is damaged: {error}", "copy it again") from error


def unpacked(archive: Path) -> Path:
    """Return the folder beside `archive` with what it holds; it appears whole, and once.

    Raises
    ------
    DataError
        See `unpack`; the archive is removed then, so that the next attempt fetches it again.
    """
    folder = archive.with_suffix("")
    if folder.is_dir():
        return folder
    try:
        with building(folder) as aside:
            unpack(archive, aside)
    except DataError as error:
        with own_folder(archive.parent, tidy=False) as box:
            for path in (archive, archive.with_name(f"{archive.name}.sha256")):
                set_aside(path, box)
        raise DataError(
            error.message, "it was removed: run the command again, or ask who serves it"
        ) from error
    return folder


def _check(archive: Path, member: zipfile.ZipInfo, files: Set[PurePosixPath]) -> None:
    path = PurePosixPath(member.filename.replace("\\", "/"))
    odd = not member.filename.isprintable() or len(path.parts) > _DEEPEST
    odd = odd or any(len(part.encode()) > 255 for part in path.parts)
    if path.is_absolute() or ".." in path.parts or ":" in member.filename or odd:
        said = f"{archive} holds the name {member.filename[:80]!r}, which is none of a file"
        raise DataError(said, "do not trust this archive")
    if any(above in files for above in path.parents):
        said = f"{archive} holds '{path.parent}' as a file and as a folder"
        raise DataError(said, "do not trust this archive")
    if member.external_attr >> 16 & 0o170000 == 0o120000:
        raise DataError(f"{archive} holds a link, '{member.filename}'", "do not trust this archive")
    if member.file_size > MAX_MEMBER or member.file_size > MAX_RATIO * max(member.compress_size, 4096):
        size = f"{member.file_size / 1e9:.1f} GB"
        raise DataError(f"{archive}: '{member.filename}' would unpack to {size}", "do not trust it")
