"""One scene: its windows are read by odc-stac and written as COGs, each whole or not at all."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from rasterio.errors import RasterioError

from icectl.arrays import Array, Bools
from icectl.errors import DataError, WorkError
from icectl.imagery.qa import QaPixel, Scl
from icectl.raster import Grid, Info, read, write_cog
from icectl.raster.files import remote_crs
from icectl.sources.area import over_all, placed, resampling_for
from icectl.sources.picks import Pick
from icectl.sources.products import CHECKED, FLAGS, Product, type_of
from icectl.sources.remote import Patience, gdal_settings, patiently
from icectl.sources.scene import Scene
from icectl.sources.search import fresh
from icectl.sources.signing import Signer
from icectl.workspace import NUMBER, read_record, remove, remove_file, write_json

RETRIED = (RasterioError, OSError)

_marks = count()

_SHARES = {"cloud": (*NUMBER, None), "missing": NUMBER}


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetcher:
    """All that the scenes of one fetch share."""

    out: Path
    grid: Grid
    inside: Bools
    product: Product
    collection: str
    max_cloud: float
    max_missing: float
    signer: Signer
    patience: Patience
    client: Any
    service: Any

    def bring(self, pick: Pick) -> Scene | str:
        """Fetch what is missing of one scene; return it, or why it is left out.

        WorkError: it could not be fetched after all attempts. DataError: a file is not what its item says.
        """
        for left in (self.out / pick.id).glob(".*"):  # of a process that was killed
            remove(left)
        judge = self.product.quality or next(iter(pick.keys))
        found = self._known(pick)
        if found is None:
            self._fetch(pick, [judge])
            layer = read(self._file(pick, judge)).data
            found = shares(layer, judge, pick.bands[judge].nodata, self.inside)
            write_json(self._note(pick), asdict(found))
        why = found.verdict(self.max_cloud, self.max_missing)
        if why:
            remove(self.out / pick.id)
            return why
        self._fetch(pick, list(pick.keys))
        extra = {"icectl:missing": round(found.missing, 3)}
        if found.cloud is not None:
            extra["icectl:cloud"] = round(found.cloud, 3)
        return Scene(
            pick.id,
            pick.time,
            {band: self._file(pick, band) for band in pick.keys},
            pick.properties() | extra,
            pick.bands,
        )

    def _file(self, pick: Pick, band: str) -> Path:
        return self.out / pick.id / f"{pick.id}_{band}.tif"

    def _note(self, pick: Pick) -> Path:
        return self.out / CHECKED / f"{pick.id}.json"

    def _known(self, pick: Pick) -> Shares | None:
        try:
            return Shares(**read_record(self._note(pick), _SHARES, "record of shares"))
        except (DataError, TypeError):
            return None

    def _complete(self, file: Path) -> bool:
        """Tell whether a file is there, on this fetch's grid, and readable to its end."""
        if not file.is_file():
            return False
        try:
            whole = bool(Info(file).grid == self.grid) and read(file).shape == tuple(self.grid.shape)
        except DataError:
            whole = False
        if not whole:
            remove_file(file)
        return whole

    def _fetch(self, pick: Pick, bands: list[str]) -> None:
        for band in bands:
            if not self._complete(self._file(pick, band)):
                self._write(pick, band, self._insist(pick, band))

    def _insist(self, pick: Pick, band: str) -> Array:
        """Read one band, with new attempts and new links as needed."""
        current, generation = [pick], [self.signer.generation]

        def renew() -> None:
            self.signer.renew(generation[0])
            generation[0] = self.signer.generation
            if not all(self.signer.covers(item.assets[pick.keys[band]].href) for item in pick.items):
                items = fresh(self.client, self.service, self.collection, [i.id for i in pick.items])
                current[0] = pick.renewed(items, self.service.url.startswith("https"))

        try:
            return patiently(lambda: self._read(current[0], band), self.patience, RETRIED, renew)
        except WorkError as error:
            raise WorkError(f"{pick.id}, {band}: {error.message}", error.hint) from None

    def _read(self, pick: Pick, band: str) -> Array:
        """Read the area's window of one band; items of one pass fill each other's gaps."""
        import odc.stac

        key, nodata = pick.keys[band], pick.bands[band].nodata
        about: dict[str, Any] = {"data_type": type_of(self.product, band)}
        if nodata is not None or self.product.dtype == "float32":
            about["nodata"] = "nan" if nodata is None else nodata  # what tiles are joined by
        # GDAL remembers in this process what failed; a fragment, which is never sent, makes it ask anew.
        mark = next(_marks)

        def address(href: str) -> str:
            return f"/vsicurl/{self.signer.sign(href)}#{mark}"

        with rasterio.Env(**gdal_settings(self.patience)):
            for item in pick.items:
                _check_remote(address(item.assets[key].href), f"asset '{key}' of item {item.id}")
            data = odc.stac.load(
                [over_all(item, self.grid) for item in pick.items],
                bands=[key],
                geobox=self.grid,
                groupby=lambda item, parsed, index: 0,  # all items of a scene onto one plane
                resampling=resampling_for(placed(pick.items[0], key), self.grid, band in FLAGS),
                fail_on_error=True,  # otherwise a fault becomes nodata in silence
                patch_url=address,
                stac_cfg={"*": {"assets": {key: about}, "warnings": "ignore"}},
                preserve_original_order=True,
                use_overviews=False,  # made by whoever made the file, in whatever way
            )
        return np.asarray(data[key].values[0])

    def _write(self, pick: Pick, band: str, array: Array) -> None:
        known = pick.bands[band]
        scaled = known.scale is not None
        write_cog(
            self._file(pick, band),
            array,
            self.grid,
            nodata=known.nodata,
            descriptions=[band],
            scales=[known.scale or 1.0] if scaled else None,
            offsets=[known.offset or 0.0] if scaled else None,
            tags={
                "TIFFTAG_DATETIME": pick.time.strftime("%Y:%m:%d %H:%M:%S"),
                "ACQUISITION_DATE": pick.time.strftime("%Y-%m-%dT%H:%M:%SZ"),
            },
        )


def _check_remote(address: str, what: str) -> None:
    """Refuse what is no GeoTIFF, or lies nowhere.

    GDAL opens many formats, and some hold links to this machine's files. The header that is looked at
    here stays in GDAL's cache, and is what odc-stac then sees.
    """
    if remote_crs(address) is None:
        raise DataError(f"{what} has no CRS", "take another collection, e.g. a terrain-corrected one")


@dataclass(frozen=True, slots=True, kw_only=True)
class Shares:
    """Percentages inside the area: missing of all pixels, cloud of those that are not missing."""

    cloud: float | None
    missing: float

    def verdict(self, max_cloud: float, max_missing: float) -> str:
        """Return why a scene is left out, or nothing."""
        if self.missing > max_missing:
            return "with too many missing pixels in the area"
        if self.cloud is not None and self.cloud > max_cloud:
            return "too cloudy in the area"
        return ""


def shares(layer: Array, kind: str, nodata: float | None, inside: Bools) -> Shares:
    """Measure one layer.

    Cloud is cloud of high confidence or cirrus by ``qa_pixel``, and the cloud classes 8 to 10 of
    ``scl``; shadow is not counted. Other layers know only missing pixels.

    `layer`: flags ``(rows, columns)``, or any band. `kind`: ``"qa_pixel"``, ``"scl"``, or the name of a
    band. `nodata`: the band's number for nothing; NaN counts always. `inside`: the area's pixels.
    """
    values = layer[inside]
    if kind == "qa_pixel":
        gone = (values & int(QaPixel.FILL)) != 0
        cloud = (values & int(QaPixel.CLOUD | QaPixel.CIRRUS)) != 0
    elif kind == "scl":
        gone = values == int(Scl.NO_DATA)
        cloud = np.isin(values, [int(Scl.CLOUD_MEDIUM), int(Scl.CLOUD_HIGH), int(Scl.CIRRUS)])
    else:
        gone = np.isnan(values) if values.dtype.kind == "f" else np.zeros(values.shape, bool)
        gone |= values == nodata if nodata is not None else False
        return Shares(cloud=None, missing=_percent(gone, values.size))
    seen = int(values.size - gone.sum())
    return Shares(cloud=_percent(cloud & ~gone, seen), missing=_percent(gone, values.size))


def _percent(hits: Bools, of: int) -> float:
    return 100.0 * float(hits.sum()) / of if of else 0.0
