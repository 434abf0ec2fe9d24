import json
from pathlib import Path
from typing import Any

import pytest

from facegeo.errors import UserError
from facegeo.procedures.across_seeds import compare_seeds, read_runs, seeds_table
from facegeo.tables import STAGE_COLUMNS


def metrics(error: float) -> dict[str, float]:
    """What a run of two stages measures, if every number of stage 1 is ``error``, half in 2."""
    ends = STAGE_COLUMNS.values()
    return {
        f"test/{stage}/{end}": value
        for stage, value in {"stage1": error, "stage2": error / 2, "mean_shape": 8.0}.items()
        for end in ends
    }


def run(folder: Path, seed: int, error: float, **config: Any) -> Path:
    folder.mkdir()
    settings = {"seed": seed, "name": None, "data": {"seed": seed, "batch_size": 64}} | config
    (folder / "config.json").write_text(json.dumps(settings))
    (folder / "metrics.json").write_text(json.dumps(metrics(error)))
    return folder


def test_table_holds_mean_and_spread_over_seeds_beside_the_paper() -> None:
    table = seeds_table([metrics(2.0), metrics(4.0)], "test", {"stage1": 2.21})
    assert [row[0] for row in table.rows] == ["stage1", "stage2"]
    first, second = (dict(zip(table.columns, row, strict=True)) for row in table.rows)
    assert first["mean %"] == pytest.approx(3.0)
    assert first["+-"] == pytest.approx(2**0.5)  # of 2 and 4, over n - 1
    assert first["paper"] == 2.21
    assert second["mean %"] == pytest.approx(1.5)
    assert second["paper"] is None


def test_one_seed_has_no_spread() -> None:
    table = seeds_table([metrics(2.0)], "test", {})
    assert table.rows[0][table.columns.index("+-")] is None


def test_table_and_figure_are_written(tmp_path: Path) -> None:
    runs = [run(tmp_path / str(seed), seed, 2.0 + seed) for seed in (0, 1)]
    compare_seeds(runs, "test", tmp_path / "out" / "fig4", "title", {"stage1": 2.2, "stage3": 1.0})
    written = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert written == ["fig4.csv", "fig4.md", "fig4.png"]
    assert "2.5" in (tmp_path / "out" / "fig4.csv").read_text().splitlines()[1]


def test_runs_of_another_setting_are_refused(tmp_path: Path) -> None:
    one = run(tmp_path / "a", 0, 2.0)
    other = run(tmp_path / "b", 1, 2.0, data={"seed": 1, "batch_size": 32})
    with pytest.raises(UserError, match=r"data\.batch_size differ"):
        read_runs([one, other])


def test_a_seed_named_twice_is_refused(tmp_path: Path) -> None:
    runs = [run(tmp_path / name, 3, 2.0) for name in "ab"]
    with pytest.raises(UserError, match=r"seeds are \[3, 3\]"):
        read_runs(runs)


def test_an_unfinished_run_is_refused(tmp_path: Path) -> None:
    folder = run(tmp_path / "a", 0, 2.0)
    (folder / "metrics.json").unlink()
    with pytest.raises(UserError, match=r"holds no finished run .*metrics\.json"):
        read_runs([folder])


def test_no_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="runs must name at least one run folder, got none"):
        compare_seeds([], "test", tmp_path / "out", "title", {})


def test_a_split_that_was_not_measured_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="did not measure val; run it with splits"):
        compare_seeds([run(tmp_path / "a", 0, 2.0)], "val", tmp_path / "out", "title", {})


def test_a_dot_in_the_name_is_kept(tmp_path: Path) -> None:
    compare_seeds([run(tmp_path / "a", 0, 2.0)], "test", tmp_path / "a.5", "title", {})
    assert (tmp_path / "a.5.csv").is_file()
