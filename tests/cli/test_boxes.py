"""facegeo-boxes on the few generated faces of the repository."""

import json
from pathlib import Path

import pytest

from facegeo.cli import boxes


def run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, *arguments: str) -> None:
    here = (f"out={tmp_path}", f"data.cache_dir={tmp_path / 'cache'}", "accelerator=cpu")
    monkeypatch.setattr("sys.argv", ["facegeo-boxes", "data=fixture", *here, *arguments])
    boxes.main()


def test_tables_plot_and_numbers_are_written(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    run(monkeypatch, tmp_path, "shifts=[0,0.4]", "scales=[1,1.2]")
    shown = capsys.readouterr().out
    assert "moved by" in shown
    assert "Haar's, mapped" in shown
    folder = tmp_path / "boxes"
    names = {"grid.csv", "grid.md", "mapping.csv", "detector.csv", "boxes.png", "metrics.json"}
    assert names <= {path.name for path in folder.iterdir()}
    numbers = json.loads((folder / "metrics.json").read_text())
    here, there = (numbers[f"shift{move}/scale1/stage3/error_pct"] for move in ("0", "0.4"))
    assert here < 3 < there
    assert numbers["haar/mapped/stage3/error_pct"] < numbers["haar/raw/stage3/error_pct"]
    assert numbers["haar/found_pct"] >= 75


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("shifts=[0.1]",), "shifts must be a list with 0, the given box; got [0.1]"),
        (("shifts=0",), "shifts must be a list with 0, the given box; got 0"),
        (("scales=[0.9]",), "scales must be a list with 1, the given box; got [0.9]"),
        (("shifts=[0,a]",), "each of shifts must be a number of 0 or more, got 'a'"),
        (("scales=[1,0]",), "each of scales must be a number of 0.1 or more, got 0"),
    ],
)
def test_the_given_box_must_be_among_those_measured(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    arguments: tuple[str, ...],
    message: str,
) -> None:
    with pytest.raises(SystemExit) as end:
        run(monkeypatch, tmp_path, *arguments)
    assert end.value.code == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "boxes").exists()
