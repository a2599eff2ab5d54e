"""What a run folder says about itself, also when parts of it are missing or damaged."""

import os

import pytest
from report_runs import make_run

from icectl.errors import DataError, UsageError
from icectl.report.record import read_run
from icectl.training.record import read


def test_a_run_is_read_with_the_stages_behind_its_evaluation(tmp_path):
    run = read_run(make_run(tmp_path))
    assert run.name == "convlstm · parvati · a1b2c3d4e5"
    assert list(run.stages()) == ["prepare", "train", "evaluate"]
    assert run.stages()["prepare"]["options"] == {"months": 3}
    assert len(run.log) == 20  # the half-written last line is left out


def test_the_newest_evaluation_comes_first_and_unfinished_ones_do_not_count(tmp_path):
    folder = make_run(tmp_path)
    first = folder / "evaluations" / "parvati-a1b2c3d4e5"
    second = folder / "evaluations" / "aletsch-77"
    hidden = folder / "evaluations" / ".aletsch-77.partial"
    for other in (second, hidden):
        other.mkdir()
        (other / "metrics.json").write_text((first / "metrics.json").read_text())
    (second / "stage.json").write_text('{"glacier": "aletsch"}')
    os.utime(first / "metrics.json", (1, 1))
    assert [e.glacier for e in read_run(folder).evaluations] == ["aletsch", "parvati"]


def test_a_run_that_was_never_evaluated_still_has_its_training(tmp_path):
    import shutil

    folder = make_run(tmp_path)
    shutil.rmtree(folder / "evaluations")
    run = read_run(folder)
    assert run.evaluations == ()
    assert list(run.stages()) == ["prepare", "train"]


def test_what_is_no_run_is_refused(tmp_path):
    with pytest.raises(UsageError, match=r"is no run: it holds no run\.json"):
        read_run(tmp_path)


@pytest.mark.parametrize("text", ["{", "[1]"])
def test_a_damaged_record_names_itself(tmp_path, text):
    folder = make_run(tmp_path)
    (folder / "run.json").write_text(text)
    with pytest.raises(DataError, match=r"run\.json"):
        read_run(folder)


def test_a_log_with_rubbish_in_it(tmp_path):
    log = tmp_path / "log.jsonl"
    log.write_bytes(b'{"step": 1, "train/loss": 0.5}\n\xff\xfe\n[1, 2]\n{"step": 2')
    assert read(log) == [{"step": 1, "train/loss": 0.5}]
    assert read(tmp_path / "absent.jsonl") == []
