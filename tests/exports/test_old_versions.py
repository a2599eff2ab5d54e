"""An export of icectl 0.1.0 (two updates of a tiny convlstm on the synthetic glacier) is still of use."""

from __future__ import annotations

from pathlib import Path

import pytest

from icectl import registry
from icectl.run import Run
from icectl.settings import Glacier
from icectl.workspace import RUN, Workspace, read_json

OLD = Path(__file__).parent / "convlstm-0.1.0.zip"

ANSWER = 0.38150976
"""Mean of the forecast for the input below, by the code of 0.1.0."""


def test_options_and_weights_of_an_old_export_are_carried_over(tmp_path):
    import torch

    from icectl.imports import import_run

    run = import_run(OLD, Workspace(tmp_path))
    saved = read_json(run / RUN)
    plugin = registry.get(saved["model"])
    carried = registry.upgrade_options(plugin, saved["options"], int(saved["schema"]))
    options = {verb: kind.model_validate(carried[verb]) for verb, kind in plugin.stages.items()}
    place = Glacier.model_validate(saved["glacier"])
    model = registry.load_model(plugin)
    asked = Run(
        verb="predict", plugin=plugin, glacier=place, out=tmp_path, inputs={"train": run}, options=options
    )
    forecaster, _ = model.load(asked)
    past = torch.rand(1, 4, 16, 16, generator=torch.Generator().manual_seed(0))
    season, phase = torch.arange(4)[None], torch.linspace(0, 0.75, 4)[None]
    with torch.inference_mode():
        mean = float(forecaster.eval()(past, season, phase).double().mean())
    assert mean == pytest.approx(ANSWER, abs=1e-6)
