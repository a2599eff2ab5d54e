"""--logger: a training in MLflow, Weights & Biases and TensorBoard, read back by their own clients."""

from __future__ import annotations

import json
import logging
import math
import os
import signal
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import tiny

from icectl.contract import Options
from icectl.errors import UsageError
from icectl.run import Run
from icectl.training import FitSettings, fit
from icectl.training import record as recording
from icectl.training.record import read
from icectl.training.settings import Interrupted

CURVES = ("train/loss", "valid/loss", "learning_rate/main")


class Some(Options):
    """Options of a tiny training."""

    lr: float = 0.01
    api: str = "https://me:secret@a.example/x"


class WithImage(tiny.Masked):
    def images(self, batches, context):
        return {"first": next(iter(batches))["y"][0]}


class Stopping(tiny.Masked):
    def loss(self, batch, context):
        if context.training and context.step_number == 5:
            os.kill(os.getpid(), signal.SIGTERM)
        return super().loss(batch, context)


def trained(out: Path, logger: str, learner: tiny.Masked | None = None) -> Run:
    run = tiny.run_in(out).at(logger=logger, options={"train": Some()})
    fit(run, learner or WithImage(), *tiny.batches(run), FitSettings(epochs=2, log_every=2))
    return run


def logged(out: Path, name: str) -> list[tuple[int, float]]:
    return [(line["step"], line[name]) for line in read(out / "log.jsonl") if name in line]


@pytest.fixture
def mlflow(tmp_path, monkeypatch):
    """MLflow's client on a store of files in the test's folder."""
    pytest.importorskip("mlflow")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", (tmp_path / "mlruns").as_uri())
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
    from mlflow import MlflowClient

    return lambda: MlflowClient(tracking_uri=(tmp_path / "mlruns").as_uri())


def runs_of(client):
    (experiment,) = [e for e in client.search_experiments() if e.name == "icectl"]
    return client.search_runs([experiment.experiment_id])


@pytest.mark.filterwarnings("ignore")  # of MLflow's own
def test_mlflow_holds_options_curves_scores_and_an_image(tmp_path, mlflow):
    run = trained(tmp_path / "run", "mlflow")
    (found,) = runs_of(client := mlflow())
    assert found.info.status == "FINISHED"
    assert found.info.run_name == "tiny demo run"
    assert found.data.params["train.lr"] == "0.01"
    assert found.data.params["glacier"] == "demo"
    assert "secret" not in json.dumps(found.data.params)
    for name in CURVES:
        curve = [(m.step, m.value) for m in client.get_metric_history(found.info.run_id, name)]
        assert curve == [(step, pytest.approx(v)) for step, v in logged(run.out, name)]
        assert curve
    assert found.data.metrics["best/loss"] == pytest.approx(min(v for _, v in logged(run.out, "valid/loss")))
    assert list((tmp_path / "mlruns").rglob("*.png"))
    assert "warnings" not in run.notes


@pytest.mark.filterwarnings("ignore")
def test_a_resumed_training_goes_on_in_the_same_record(tmp_path, mlflow):
    run = tiny.run_in(tmp_path / "run").at(logger="mlflow")
    settings = FitSettings(epochs=4, log_every=1, checkpoint_every=1)
    before = signal.signal(signal.SIGTERM, signal.SIG_DFL)
    try:
        with pytest.raises(Interrupted):
            fit(run, Stopping(), *tiny.batches(run), settings)
    finally:
        signal.signal(signal.SIGTERM, before)
    (found,) = runs_of(client := mlflow())
    assert found.info.status == "KILLED"
    fit(run, tiny.Masked(), *tiny.batches(run), settings)
    (found,) = runs_of(client)
    assert found.info.status == "FINISHED"
    steps = {m.step for m in client.get_metric_history(found.info.run_id, "train/loss")}
    assert steps == {step for step, _ in logged(run.out, "train/loss")}


@pytest.mark.filterwarnings("ignore")
def test_the_scores_of_an_evaluation_stand_in_the_record_of_its_training(tmp_path, mlflow):
    from icectl import evaluate

    short = {"updates": 2, "world": {"years": 5, "size": 64}, "patch": 16, "bootstrap": 0, "align": "none"}
    done = evaluate("lstm", glacier="demo", workspace=tmp_path / "space", logger="mlflow", **short)
    (found,) = runs_of(client := mlflow())
    assert found.info.status == "FINISHED"
    table = done.metrics["tables"][0]
    (row,) = (row for row in table["rows"] if row["kind"] == "model")
    assert table["primary"] in row["values"]
    for key, value in row["values"].items():
        assert value is None or found.data.metrics[f"evaluate/{key}"] == pytest.approx(value)
    assert "best/mse" in found.data.metrics or "best/loss" in found.data.metrics
    evaluate("lstm", run=done.folder, workspace=tmp_path / "space", logger="mlflow", force=True)
    assert len(runs_of(client)) == 1


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_two_processes_make_one_record(tmp_path, mlflow):
    code = (  # in a process of its own: a fork server that runs already knows nothing of these variables
        f"import sys; sys.path.insert(0, {str(Path(tiny.__file__).parent)!r})\n"
        "import tiny; from pathlib import Path; from icectl.training import FitSettings, launch\n"
        "if __name__ == '__main__':\n"
        f"    run = tiny.run_in(Path({str(tmp_path)!r}) / 'run', processes=2).at(logger='mlflow')\n"
        "    launch(tiny.train_masked, run, FitSettings(epochs=1))\n"
    )
    (tmp_path / "two.py").write_text(code)
    path = os.pathsep.join(sys.path)
    done = subprocess.run([sys.executable, "two.py"], cwd=tmp_path, env={**os.environ, "PYTHONPATH": path})
    assert done.returncode == 0
    (found,) = runs_of(mlflow())
    assert found.info.status == "FINISHED"


def test_tensorboard_holds_the_curves_of_the_log(tmp_path):
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    run = trained(tmp_path / "run", "tensorboard")
    events = EventAccumulator(str(run.out / "tensorboard")).Reload()
    for name in CURVES:
        curve = [(event.step, event.value) for event in events.Scalars(name)]
        assert curve == [(step, pytest.approx(v, rel=1e-6)) for step, v in logged(run.out, name)]
        assert curve
    assert events.Tags()["images"] == ["first"]
    (text,) = events.Tensors("options/text_summary")
    assert b"| train.lr | 0.01 |" in text.tensor_proto.string_val[0]


@pytest.mark.filterwarnings("ignore")
def test_wandb_holds_the_curves_offline(tmp_path, monkeypatch):
    pytest.importorskip("wandb")
    monkeypatch.setenv("WANDB_MODE", "offline")
    run = trained(tmp_path / "run", "wandb", tiny.Masked())
    (file,) = (run.out / "wandb").glob("offline-run-*/*.wandb")
    end = time.monotonic() + 60
    while b"best/loss" not in (content := file.read_bytes()) and time.monotonic() < end:
        time.sleep(0.1)  # W&B's own process writes the file after `finish` has returned (0.31)
    for word in (*CURVES, "train.lr", "tiny demo run", "best/loss"):
        assert word.encode() in content, word
    assert "warnings" not in run.notes


def test_nothing_is_followed_unless_asked_for(tmp_path):
    run = tiny.run_in(tmp_path)
    fit(run, tiny.Masked(), *tiny.batches(run), FitSettings(epochs=1))
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "log.jsonl",
        "state.safetensors",
        "weights.safetensors",
    ]


@pytest.mark.filterwarnings("ignore")
def test_a_server_that_says_no_is_one_warning_and_the_same_weights(tmp_path, monkeypatch):
    pytest.importorskip("mlflow")

    class No(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_error(403)

        do_POST = do_GET

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), No)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{server.server_address[1]}")
    try:
        run = trained(tmp_path / "refused", "mlflow", tiny.Masked())
    finally:
        server.shutdown()
        server.server_close()
    (said,) = run.notes["warnings"]
    assert said.startswith("the train stage is not, or not wholly, recorded in mlflow: ")
    assert "\n" not in said
    alone = tiny.run_in(tmp_path / "alone")
    fit(alone, tiny.Masked(), *tiny.batches(alone), FitSettings(epochs=2, log_every=2))
    assert (run.out / "weights.safetensors").read_bytes() == (alone.out / "weights.safetensors").read_bytes()


def test_a_tracker_that_hangs_is_waited_for_a_while_and_no_longer(tmp_path, monkeypatch):
    from icectl.training import trackers

    free = threading.Event()
    monkeypatch.setattr(recording, "PATIENCE", 0.2)
    monkeypatch.setattr(trackers, "OPEN", {"mlflow": lambda run, step: free.wait(60)})
    run = trained(tmp_path / "run", "mlflow", tiny.Masked())
    free.set()
    assert run.notes["warnings"] == [
        "the train stage is not, or not wholly, recorded in mlflow: no answer for 0 s"
    ]


def test_a_value_that_is_not_finite_is_left_out(tmp_path, monkeypatch):
    from icectl.training.record import Record

    seen: list[dict[str, float]] = []
    record = Record(tiny.run_in(tmp_path), 0, active=True)
    record.following = type("Kept", (), {"scalars": lambda self, values, step: seen.append(values)})()
    record.line(1, 0, {"a": math.nan, "b": 1.0}, {}, 0.0)
    record.following = None
    record.close(finished=True, scores={})
    assert seen == [{"b": 1.0}]


@pytest.mark.parametrize("name", ["mlflow", "wandb", "tensorboard"])
def test_a_missing_package_is_one_sentence_with_the_line_that_installs_it(name, monkeypatch, tmp_path):
    (tmp_path / name).mkdir()  # W&B leaves a folder of its own name
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    for module in [m for m in sys.modules if m.partition(".")[0] == name]:
        monkeypatch.delitem(sys.modules, module)
    with pytest.raises(
        UsageError, match=f"^--logger {name} needs the package {name}, which is not installed$"
    ) as said:
        recording.check(name)
    assert said.value.hint == f"pip install 'icectl[{name}]'"


def test_the_terminal_refuses_before_any_work_and_says_when_nothing_is_trained(tmp_path, caplog):
    from icectl import train
    from icectl.errors import IcectlError

    def ask(logger: str) -> None:
        with caplog.at_level(logging.INFO, "icectl"):
            short = {"updates": 1, "validate_every": 1, "world": {"years": 1, "count": 2}}
            train("front-unet", glacier="demo", workspace=tmp_path, logger=logger, **short)

    with pytest.raises(IcectlError, match="no logger called 'mlflo'") as said:
        ask("mlflo")
    assert "mlflow" in said.value.hint
    assert not list(tmp_path.iterdir())
    pytest.importorskip("tensorboard")
    ask("tensorboard")
    assert list(tmp_path.rglob("events.out.*"))
    caplog.clear()
    ask("tensorboard")
    assert "nothing of it is recorded in tensorboard" in caplog.text


def test_start_up_imports_no_tracker():
    code = (
        "import sys, icectl.cli.app, icectl.cli.resolve, icectl.training.record\n"
        "assert not {'mlflow', 'wandb', 'tensorboard', 'torch'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
