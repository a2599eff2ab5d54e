"""Run folders such as stages leave them, small and quick to make."""

import json
from pathlib import Path

import numpy as np
from odc.geo.geobox import GeoBox
from scipy import ndimage

from icectl.contract import Column, Metrics, Row, Table
from icectl.raster import write_cog
from icectl.report import panels as p
from icectl.stages import metrics_record
from icectl.workspace import write_json

EVIL = '<script>alert("ice")</script> & <b>Gletscher</b>'


def grid(rows, columns, crs="EPSG:32643", metres=30.0, left=545000.0, top=3567000.0):
    from affine import Affine

    return GeoBox((rows, columns), Affine(metres, 0, left, 0, -metres, top), crs)


def relief(rows, columns, seed=0):
    rng = np.random.default_rng(seed)
    noise = sum(s * ndimage.gaussian_filter(rng.normal(size=(rows, columns)), s) for s in (2, 8, 30))
    noise = (noise - noise.min()) / np.ptp(noise)
    down = np.linspace(0, 1, rows)[:, None]
    return (2500 + 2200 * (0.55 * noise + 0.45 * down)).astype(np.float32)


def snow_frames(count, rows, columns, seed=0):
    """Snow masks whose line rises and falls with the seasons over one relief."""
    height, rng = relief(rows, columns, seed), np.random.default_rng(seed + 1)
    texture = ndimage.gaussian_filter(rng.normal(size=(rows, columns)), 1.5)
    frames = []
    for k in range(count):
        line = 3500 + 700 * np.sin(2 * np.pi * k / 4) + 60 * rng.normal()
        value = 0.62 + (height - line) / 1600 + 0.25 * texture
        frames.append(np.where(value >= 0.3, np.clip(value, 0, 1), 0).astype(np.float32))
    return np.stack(frames)


def arrows(rows, columns, step=40):
    return [
        (x, y, 2.0 * np.cos(y / 90), 3.0 * np.sin(x / 120) + 1)
        for y in range(step // 2, rows, step)
        for x in range(step // 2, columns, step)
    ]


def metrics(packed, model="convlstm"):
    columns = (
        Column(key="mse", label="MSE"),
        Column(key="mae", label="MAE"),
        Column(key="skill", label="skill vs linear", better="higher"),
    )
    rows = (
        Row(name=model, kind="model", values={"mse": 0.0412, "mae": 0.1121, "skill": 0.16}),
        Row(name="last frame", kind="baseline", values={"mse": 0.1031, "mae": 0.181, "skill": None}),
        Row(name="linear", kind="baseline", values={"mse": 0.049, "mae": 0.1302, "skill": 0.0}),
        Row(name="SA-LSTM-H (Müller 2023)", kind="published", values={"mse": 0.0467, "mae": 0.1356}),
    )
    first = Table(
        title="Snow masks", columns=columns, rows=rows, primary="mse", note="Skill is 1 − MSE / MSE."
    )
    leads = Table(
        title="MSE by lead time",
        columns=tuple(Column(key=f"lead_{k}", label=f"lead {k}") for k in (1, 2)),
        rows=tuple(Row(name=r.name, kind=r.kind, values={"lead_1": 0.04, "lead_2": None}) for r in rows[:2]),
        primary="lead_1",
    )
    return Metrics(
        tables=(first, leads),
        notes=(f"{model} beats the strongest baseline.", EVIL),
        details={
            "panels": packed,
            "data": {"period": "2013-04-01 to 2021-10-01", "frames": 35, "share of gaps": 0.0123},
            "audit": {"shared pixel-moments": 0, "guard": {"frames": 8, "pixels": 50}},
            "intervals": {"Snow masks": {model: {"mse": [0.0398, 0.0431]}}},
            "gain": [11.6, 20.4],
        },
    )


def make_run(root: Path, panels=None, model="convlstm", identity="a1b2c3d4e5", title="Parvati", **more):
    """Write a finished run with one evaluation; `panels(folder)` returns its panels."""
    run = root / "runs" / model / "parvati" / identity
    out = run / "evaluations" / f"parvati-{identity}"
    out.mkdir(parents=True)
    meter = {
        "seconds": 75.2,
        "peak_memory": 812_000_000,
        "peak_device_memory": None,
        "energy_kwh": 0.0031,
        "energy_source": "estimate (65 W processor)",
        "co2e_g": 1.4,
        "g_per_kwh": 445,
    }
    prepared = root / "glaciers" / "parvati" / "prepared" / "snow-1"
    prepared.mkdir(parents=True, exist_ok=True)
    inputs = {"prepare": str(prepared), "train": str(run)}
    base = {
        "model": model,
        "task": "snow",
        "glacier": "parvati",
        "seed": 0,
        "meter": meter,
        "versions": {"icectl": "0.1.0"},
    }
    options = {"lr": more.get("lr", 1e-4), "preset": "small"}
    write_json(
        prepared / "stage.json",
        {
            **base,
            "stage": "prepare",
            "options": {"months": 3},
            "notes": {"warnings": ["frame 7 was not aligned"]},
        },
    )
    write_json(
        run / "stage.json", {**base, "stage": "train", "options": options, "inputs": inputs, "notes": {}}
    )
    record = {**base, "stage": "evaluate", "options": {"bootstrap": 100}, "inputs": inputs, "notes": {}}
    write_json(
        out / "stage.json", {**record, "command": f"icectl run {model} --glacier parvati --preset small"}
    )
    write_json(
        run / "run.json",
        {
            **{k: base[k] for k in ("model", "task", "seed")},
            "schema": 1,
            "task": more.get("task", "snow"),
            "glacier": {"name": "parvati", "title": title},
            "options": {"train": options},
            "command": "",
            "fingerprint": identity * 3,
            "inputs": inputs,
        },
    )
    lines = [
        {
            "step": s,
            "epoch": s // 50,
            "train/loss": 0.2 * 0.99**s + 0.04,
            "valid/loss": 0.21 * 0.99**s + 0.045,
            "learning_rate/main": 1e-4,
            "seconds": s * 0.1,
        }
        for s in range(0, 400, 20)
    ]
    (run / "log.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines) + '{"step": 400, "tr')
    packed = p.pack(panels(run) if panels else [], out)
    write_json(out / "metrics.json", metrics_record(metrics(packed, model)))
    return run


def time_maps(run, frames=8, rows=160, columns=200, cube=False):
    """Write truth and prediction as GeoTIFFs (or as one NetCDF cube, far quicker); return their panel."""
    truth = snow_frames(frames, rows, columns)
    rng = np.random.default_rng(5)
    prediction = np.stack([ndimage.gaussian_filter(t, 2) + 0.04 * rng.normal() for t in truth])
    prediction = np.clip(prediction, 0, 1).astype(np.float32)
    truth[:, : rows // 8, : columns // 8] = np.nan
    folder = run / "predictions" / "parvati-1"
    folder.mkdir(parents=True, exist_ok=True)
    layer = (_as_cube if cube else _as_files)(folder, grid(rows, columns), truth, prediction)
    return p.TimeMaps(
        title="Snow masks",
        colours="snow",
        low=0,
        high=1,
        difference_limit=0.6,
        unit="NDSI",
        frames=[
            p.Frame(
                label=f"{2013 + k // 4}-{1 + 3 * (k % 4):02d}-01 · lead {k % 4 + 1}",
                truth=layer("truth", k),
                prediction=layer("prediction", k),
            )
            for k in range(frames)
        ],
        note="The difference is forecast minus truth.",
    )


def _as_files(folder, where, truth, prediction):
    for name, values in (("truth", truth), ("prediction", prediction)):
        write_cog(folder / f"{name}.tif", values, where, nodata=float("nan"))
    return lambda name, k: p.Layer(file=str(folder / f"{name}.tif"), band=k + 1)


def _as_cube(folder, where, truth, prediction):
    import xarray as xr
    from odc.geo.xr import xr_coords

    dims = ("time", "y", "x")
    cube = xr.Dataset({"truth": (dims, truth), "prediction": (dims, prediction)}, coords=xr_coords(where))
    for name in ("truth", "prediction"):
        cube[name].encoding["grid_mapping"] = "spatial_ref"
    cube.to_netcdf(folder / "cube.nc", engine="h5netcdf")
    return lambda name, k: p.Layer(file=str(folder / "cube.nc"), variable=name, index=(k,))


def every_panel(run, rows=160, columns=200):
    """One panel of each kind."""
    folder = run / "predictions" / "parvati-1"
    maps = time_maps(run, 8, rows, columns)
    height = relief(rows, columns, 3)
    thickness = np.where(height < 3600, np.clip((3600 - height) / 4, 0, 250), np.nan).astype(np.float32)
    speed = np.clip((3700 - height) / 5, 0, None).astype(np.float32)
    polar = grid(rows, columns, "EPSG:3031", 240, 300000, -1200000)
    write_cog(folder / "dem.tif", height, grid(rows, columns), nodata=-9999)
    write_cog(folder / "thickness.tif", thickness, grid(rows, columns), nodata=float("nan"))
    write_cog(folder / "speed.tif", speed, polar, nodata=float("nan"))
    from PIL import Image

    for k in range(3):
        Image.fromarray((255 * (relief(rows, columns, k) - 2500) / 2200).astype(np.uint8)).save(
            folder / f"scene{k}.png"
        )
    x = np.arange(0, 6000, 60.0)
    surface = 3400 - 0.08 * x + 30 * np.sin(x / 500)
    depth = 180 * np.sin(np.pi * x / 6000)
    rng = np.random.default_rng(1)
    measured = rng.normal(100, 40, 300)
    outline = [[(40, 30), (150, 35), (160, 120), (60, 130), (40, 30)]]
    front = [[(20 + 2 * i, 80 + 12 * np.sin(i / 9)) for i in range(80)]]
    guess = [[(20 + 2 * i, 84 + 11 * np.sin(i / 9 + 0.1)) for i in range(80)]]
    layer = lambda name: p.Layer(file=str(folder / name))  # noqa: E731
    points = p.Points(
        label="measured",
        columns=rng.uniform(50, 140, 60),
        rows=rng.uniform(40, 120, 60),
        values=rng.uniform(20, 240, 60),
    )
    return [
        maps,
        p.Map(
            title="Bed below the ice",
            layer=layer("dem.tif"),
            colours="terrain",
            unit="m",
            label="elevation",
            lines=[p.Lines(label="outline", pixels=outline)],
        ),
        p.Map(
            title="Ice thickness",
            layer=layer("thickness.tif"),
            underlay=layer("dem.tif"),
            colours="thickness",
            unit="m",
            label="thickness",
            points=[points],
        ),
        p.Map(
            title="Velocity",
            layer=layer("speed.tif"),
            colours="speed",
            unit="m/yr",
            label="speed",
            low=0,
            arrows=arrows(rows, columns),
            arrow_unit="m/yr",
        ),
        p.ImageLines(
            title="Fronts",
            frames=[
                p.Picture(
                    label=f"LE07_L1TP_009011_20020827_2017012{k}_01_T1_B2_and_more · 1.2 px",
                    image=layer(f"scene{k}.png"),
                    note="flagged" if k else "",
                    lines=[
                        p.Lines(label="labelled", role="truth", pixels=front),
                        p.Lines(label="predicted", role="prediction", pixels=guess),
                    ],
                )
                for k in range(3)
            ],
        ),
        p.Samples(
            title="Sampled futures",
            columns=[f"t+{k}" for k in range(1, 10)],  # wider than paper
            rows=[
                p.SampleRow(
                    label=name,
                    score=score,
                    images=[p.Layer(file=maps.frames[k % 4].truth.file, band=k % 4 + 1) for k in range(9)],
                )
                for name, score in (("truth", ""), ("best of 100", "r = 0.91"), ("another", "r = 0.73"))
            ],
        ),
        p.Curve(
            title="Error by lead time",
            x_label="lead time (frames)",
            y_label="MSE",
            series=[
                p.Series(
                    label="convlstm",
                    x=[1, 2, 3, 4],
                    y=[0.03, 0.035, 0.04, 0.05],
                    low=[0.028, 0.033, 0.037, 0.046],
                    high=[0.032, 0.037, 0.043, 0.055],
                    role="prediction",
                ),
                *(
                    p.Series(label=n, x=[1, 2, 3, 4], y=[v, v, v + 0.01, v + 0.015], role="baseline")
                    for n, v in (
                        ("last frame", 0.09),
                        ("same season last year", 0.07),
                        ("climatology", 0.06),
                        ("linear", 0.045),
                    )
                ),
            ],
        ),
        p.Curve(
            title="Relative length",
            dates=True,
            y_label="m",
            series=[
                p.Series(
                    label="labelled",
                    role="truth",
                    points=True,
                    x=[f"{y}-07-01" for y in range(2001, 2016)],
                    y=[-90.0 * k for k in range(15)],
                ),
                p.Series(
                    label="predicted",
                    role="prediction",
                    x=[f"{y}-07-15" for y in range(2001, 2016)],
                    y=[-88.0 * k - 20 for k in range(15)],
                ),
            ],
        ),
        p.CrossSection(
            title="Along the centre line",
            distance=x,
            surface=surface,
            bed=surface - depth,
            truth=surface - 1.07 * depth,
            measured_distance=x[::9],
            measured_bed=(surface - depth * 1.04)[::9],
            measured_error=np.full(len(x[::9]), 12.0),
        ),
        p.Scatter(
            title="Thickness, measured and predicted",
            x=measured,
            y=measured + rng.normal(0, 20, 300),
            x_label="measured (m)",
            y_label="predicted (m)",
        ),
        p.Bars(
            title="Mean distance by glacier",
            labels=["Jakobshavn", "Kangerlussuaq", "Sverdrup", "Helheim"],
            series={"network": [1.9, 2.2, None, 1.4], "previous front": [3.0, 4.1, 3.3, 2.9]},
            y_label="px",
        ),
        p.Map(title="A file that is gone", layer=p.Layer(file="predictions/gone.tif")),
    ]
