import json
import sys
from pathlib import Path

import pytest

from facegeo.cli.dashboard import compared, main, shipped
from facegeo.errors import UserError


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

    monkeypatch.setattr("facegeo.tracking.dashboard.push", push)
    run(monkeypatch, "study=ccnn/shake", word)
    assert pushed == [(1, "facegeo", None)]
    assert capsys.readouterr().out == "https://wandb.example/view\n"
