"""``icectl report`` through the real command line."""

import json

from report_runs import make_run, time_maps

from icectl import cli


def test_a_report_is_rebuilt_by_id_and_by_folder(tmp_path, capsys):
    run = make_run(tmp_path, lambda run: [time_maps(run, 2)])
    assert cli.call(["report", "a1b2", "--workspace", str(tmp_path)]) == 0
    assert capsys.readouterr().out.strip() == str(run / "report.html")
    assert cli.call(["report", str(run), "--out", str(tmp_path / "x.html"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["report"] == str(tmp_path / "x.html")
    assert (tmp_path / "x.html").read_bytes() == (run / "report.html").read_bytes()


def test_several_runs_make_a_comparison(tmp_path, capsys):
    runs = [make_run(tmp_path), make_run(tmp_path, model="salstm", identity="ffeeddccbb")]
    assert cli.call(["report", *map(str, runs), "--out", str(tmp_path / "both.html")]) == 0
    assert "2 runs compared" in (tmp_path / "both.html").read_text()
    assert capsys.readouterr().out.strip() == str(tmp_path / "both.html")


def test_an_unknown_run_is_one_sentence_and_a_hint(tmp_path, capsys):
    assert cli.call(["report", "zzz", "--workspace", str(tmp_path)]) == 2
    err = capsys.readouterr().err
    assert "no run 'zzz'" in err
    assert "hint:" in err
    assert "Traceback" not in err
