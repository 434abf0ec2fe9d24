import json
import sys
from pathlib import Path

import pytest

from facegeo.cli.dashboard import compared, main, shipped
from facegeo.errors import UserError
from facegeo.studies.comparison import compare
from facegeo.studies.runs import read_folder


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> None:
    monkeypatch.setattr(sys, "argv", ["facegeo-dashboard", *arguments])
    main()


def test_every_shipped_study_can_be_compared() -> None:
    for name in shipped():
        study = compared(name)
        assert study.name == name
        assert study.metrics
        assert "seed" not in study.keys
    assert compared("ccnn/shake").keys == ("data.augment.shake_sigma",)


def test_a_study_of_ones_own_is_read_from_its_folder(tmp_path: Path) -> None:
    jobs = [["data=lfpw", f"+a.b={value}", f"seed={seed}"] for value in "12" for seed in "01"]
    plan = {"study": "mine", "parts": [{"jobs": jobs}]}
    (tmp_path / "plan.json").write_text(json.dumps(plan))
    study = compared(str(tmp_path))
    assert (study.name, study.keys, study.measure) == ("mine", ("a.b",), "error_pct")


def finish(study: Path, name: str, **config: object) -> None:
    """Leave a finished run of two measured splits in a study's folder."""
    ends = ("stage1/error_pct", "stage2/error_pct", "stage2/fail10_pct", "mean_shape/error_pct")
    metrics = {f"{split}/{end}": 1.0 for split in ("val", "test") for end in ends}
    (study / name).mkdir()
    (study / name / "config.json").write_text(json.dumps({"a": name, "seed": 0, **config}))
    (study / name / "metrics.json").write_text(json.dumps(metrics))


@pytest.mark.parametrize(
    ("about", "metrics"),
    [
        (None, ["val/stage2/error_pct"]),
        ({"split": None, "rows": None}, ["val/stage2/error_pct"]),
        ({"split": "test", "measure": "fail10_pct"}, ["test/stage2/fail10_pct"]),
        ({"rows": ["mean_shape", "stage1"]}, ["val/mean_shape/error_pct", "val/stage1/error_pct"]),
        ({"rows": ["last"]}, ["val/stage2/error_pct"]),
    ],
    ids=lambda value: str(value),
)
def test_a_study_of_ones_own_is_compared_as_its_report_does(
    tmp_path: Path, about: dict[str, object] | None, metrics: list[str]
) -> None:
    for name in "bc":
        finish(tmp_path, name, about=about)
    found = compared(str(tmp_path))
    assert found.metrics == metrics
    report = compare(read_folder(tmp_path))
    assert {f"{report.split}/{row.entry}/{report.measure}" for row in report.rows} == set(metrics)


def test_of_a_study_without_a_result_every_stage_is_shown(tmp_path: Path) -> None:
    (tmp_path / "plan.json").write_text(json.dumps({"parts": [{"jobs": [["a=1"], ["a=2"]]}]}))
    assert compared(str(tmp_path)).metrics == [f"val/stage{n}/error_pct" for n in (1, 2, 3)]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["study=5"], "study must be a study of conf/ablation or a folder (a number in quotes), "),
        (["study=[5]"], "each of study must be a study of conf/ablation or a folder"),
        (["study={a: 3}"], "or a list study=[A,B], got {'a': 3}"),
        (["study=[]"], "study=[] names no study"),
        (["entity=5"], "entity must be a user or team of W&B, or null (a number in quotes), got 5"),
        (["project=null"], "project must be the name of a W&B project"),
        (["push=maybe"], "push must be true or false, got 'maybe'"),
    ],
    ids=str,
)
def test_mistakes_end_with_one_line(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    words: list[str],
    message: str,
) -> None:
    with pytest.raises(SystemExit) as end:
        run(monkeypatch, *words)
    assert end.value.code == 2
    err = capsys.readouterr().err
    assert message in err
    assert err.count("\n") == 1


def test_an_unknown_study_is_refused() -> None:
    with pytest.raises(UserError, match=r"no study ccnn/shak: .*ccnn/shake"):
        compared("ccnn/shak")


def test_several_studies_stand_in_one_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    pytest.importorskip("wandb_workspaces")
    out = tmp_path / "deep" / "views.json"
    run(monkeypatch, "study=[ccnn/shake,casfne/fusion]", f"out={out}", "project=p", "entity=e")
    views = json.loads(out.read_text())
    assert list(views) == ["ccnn/shake", "casfne/fusion"]
    assert {(v["project"], v["entity"]) for v in views.values()} == {("p", "e")}


@pytest.mark.parametrize("word", ["--push", "push=true"])
def test_push_saves_and_says_where(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], word: str
) -> None:
    pushed = []

    def push(studies: list[object], project: str, entity: str | None) -> list[str]:
        pushed.append((len(studies), project, entity))
        return ["https://wandb.example/view"]

    monkeypatch.setattr("facegeo.studies.dashboard.push", push)
    run(monkeypatch, "study=ccnn/shake", word)
    assert pushed == [(1, "facegeo", None)]
    assert capsys.readouterr().out == "https://wandb.example/view\n"
