"""Links that must be signed, expire, and keep their secrets."""

from __future__ import annotations

import json
import logging
import shutil

import pytest
from landsat_archive import Archive, run_in
from servers import (
    SECRET,
    Fault,
    FileServer,
)

from icectl.errors import WorkError
from icectl.sources.catalogue import read_catalogue


def signed_archive(archive: Archive, files: FileServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Serve the files under a blob storage's name: GDAL reaches it through the server as its proxy."""
    from icectl.sources.signing import _sas

    files.sign = True
    monkeypatch.setenv("PC_SDK_SAS_URL", f"{files.url}/token")
    monkeypatch.setenv("GDAL_HTTP_PROXY", files.url)
    _sas().TOKEN_CACHE.clear()
    _sas().Settings.get.cache_clear()
    for number in range(2):
        archive.add(number, href="http://landsateuwest.blob.core.windows.net/landsat-c2")
    (files.root / "landsat-c2").mkdir()
    for path in files.root.glob("*.TIF"):
        shutil.move(path, files.root / "landsat-c2" / path.name)


def test_links_are_signed_and_secrets_stay_out_of_sight(
    archive, fetch, files, monkeypatch, caplog, capfd, tmp_path
):
    signed_archive(archive, files, monkeypatch)
    run = run_in(tmp_path / "out")
    with caplog.at_level(logging.DEBUG):
        fetch(run)
    assert len(read_catalogue(run.out)) == 2
    assert len(files.tokens) == 1  # one token serves all files of a container
    out, err = capfd.readouterr()
    said = out + err + caplog.text + json.dumps(run.notes, default=str)
    for path in run.out.rglob("*"):
        said += path.read_bytes().decode("latin-1") if path.is_file() else ""
    assert SECRET not in said


def test_a_link_that_expired_is_signed_again(archive, fetch, files, monkeypatch):
    signed_archive(archive, files, monkeypatch)
    expired = files.new_token()
    files.tokens.clear()

    from icectl.sources.signing import _sas

    address = f"{files.url}/token/landsateuwest/landsat-c2"
    _sas().TOKEN_CACHE[address] = _sas().SASToken(**expired)
    assert len(read_catalogue(fetch())) == 2
    assert len(files.tokens) == 1
    assert any(seen.status == 403 for seen in files.seen)


def test_refused_for_good_names_the_scene_without_the_secret(
    archive, fetch, files, monkeypatch, caplog, capfd, tmp_path
):
    signed_archive(archive, files, monkeypatch)
    files.token_life = -1.0  # every token has already expired
    with pytest.raises(WorkError, match="2 of 2 scenes could not be fetched") as refused:
        fetch()
    chain, error = "", refused.value
    while error is not None:  # what --debug would print
        chain += str(error)
        error = error.__cause__ or error.__context__
    out, err = capfd.readouterr()
    assert "403" in refused.value.message
    assert SECRET not in chain + out + err + caplog.text
    assert not any(SECRET in f.read_text("latin-1") for f in tmp_path.glob("out/**/*") if f.is_file())


def test_signed_links_of_a_catalogue_are_asked_for_again(archive, fetch, files, monkeypatch):
    """A private catalogue hands out links with signatures of its own; a new search brings new ones."""
    from icectl.sources import download

    files.sign = True
    archive.add(0)
    token = files.new_token()["token"]
    asked = []

    def fresh(client, service, collection, ids):
        asked.append(ids)
        items = download_fresh(client, service, collection, ids)
        for item in items.values():
            for asset in item.assets.values():
                asset.href += f"?{token}"
        return items

    download_fresh = download.fresh
    monkeypatch.setattr(download, "fresh", fresh)
    assert len(read_catalogue(fetch())) == 1
    assert asked


def test_a_token_service_that_fails_is_told(archive, fetch, files, monkeypatch):
    signed_archive(archive, files, monkeypatch)
    files.faults.append(Fault(500, match="/token/"))
    with pytest.raises(WorkError, match="no signature for links of landsateuwest"):
        fetch()
