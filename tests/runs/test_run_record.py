"""What a run notes of itself: sessions counted, a torn record replaced, versions with builds."""

import json
from pathlib import Path

import torch

from facegeo.runs.record import RECORD, RunRecord, read_record


def record(*overrides: str) -> RunRecord:
    return RunRecord("shake", "ccnn/tuned", 3, list(overrides))


def test_sessions_add_up(tmp_path: Path) -> None:
    first = record()
    first.begin(tmp_path)
    assert read_record(tmp_path)["status"] == "running"
    first.end(tmp_path, "stopped", "asked to")
    begun = read_record(tmp_path)
    (tmp_path / RECORD).write_text(
        json.dumps(begun | {"wall_s": 60.0, "shared": {"stage1": "k"}, "commits": ["old"]})
    )
    second = record()
    second.begin(tmp_path)
    second.end(tmp_path, "done")
    ended = read_record(tmp_path)
    assert (ended["status"], ended["error"], ended["sessions"]) == ("done", None, 2)
    assert ended["wall_s"] > 60
    assert ended["started"] == begun["started"]
    assert ended["shared"] == {"stage1": "k"}
    assert ended["commits"][0] == "old"
    assert ended["peak_memory_mb"] > 1


def test_damaged_record_is_replaced(tmp_path: Path) -> None:
    for torn in ('{"sess', "[1]"):
        (tmp_path / RECORD).write_text(torn)
        assert read_record(tmp_path) == {}
        record().begin(tmp_path)
        assert read_record(tmp_path)["sessions"] == 1


def test_record_holds_versions_with_builds(tmp_path: Path) -> None:
    record().begin(tmp_path)
    packages = read_record(tmp_path)["packages"]
    assert packages["torch"] == torch.__version__
    assert {"facegeo", "python", "lightning", "wandb"} <= set(packages)
