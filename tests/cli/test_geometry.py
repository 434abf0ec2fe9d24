"""facegeo-geometry: one face measured, mistakes told in one message."""

import json
from pathlib import Path

import pytest

from facegeo.cli.geometry import main


def test_it_measures_true_normals_without_a_model(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    arguments = [f"out={tmp_path / 'geometry'}", "faces=1", "size=48", "seed=5"]
    monkeypatch.setattr("sys.argv", ["facegeo-geometry", *arguments])
    main()
    assert "1 generated faces, anny, 48 px, seed 5" in capsys.readouterr().out
    results = json.loads((tmp_path / "geometry" / "metrics.json").read_text())
    assert not [name for name in results if name.startswith("model")]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["faces=none"], "faces must be a whole number from 1, got 'none'"),
        (["checkpoint=ccnn-lfpw"], "checkpoint=ccnn-lfpw finds points: wanted a model of normals"),
        (["t=7"], "t=7 is of a model: name one with checkpoint=RUN"),
        (["checkpoint=nowhere"], "nowhere"),
    ],
)
def test_mistakes_end_with_one_message(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    arguments: list[str],
    message: str,
) -> None:
    monkeypatch.setattr("sys.argv", ["facegeo-geometry", f"out={tmp_path / 'x'}", *arguments])
    with pytest.raises(SystemExit) as end:
        main()
    assert end.value.code == 2
    assert message in capsys.readouterr().err
