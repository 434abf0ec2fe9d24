"""Several sessions of one job in W&B's files: the latest counts, whatever its file is called."""

from itertools import permutations
from pathlib import Path
from typing import Any

import pytest

from facegeo.runs.wandb import to_config
from facegeo.studies.wandb_logs import _merged

FIRST = {
    "start_time": "2026-01-01T08:00:00Z",
    "config": to_config({"seed": 0, "record": {"status": "running"}}),
    "summary": {"val/error": 3.0, "val/early": 7.0},
}
SECOND = {
    "start_time": "2026-01-01T09:30:00Z",
    "config": to_config({"seed": 0, "record": {"status": "stopped"}}),
    "summary": {"val/error": 2.0},
}
THIRD = {
    "start_time": "2026-01-02T07:00:00Z",
    "config": to_config({"seed": 0, "record": {"status": "done"}}),
    "summary": {"val/error": 1.0, "test/error": 1.5},
}


@pytest.mark.parametrize("sessions", list(permutations([FIRST, SECOND, THIRD])))
def test_of_what_several_sessions_tell_the_latest_counts(
    sessions: tuple[dict[str, Any], ...], tmp_path: Path
) -> None:
    run = _merged(tmp_path, list(sessions))
    assert run.config == {"seed": 0, "record": {"status": "done"}}
    assert run.metrics == {"val/error": 1.0, "val/early": 7.0, "test/error": 1.5}
    assert (run.link, run.folder) == (str(tmp_path.resolve()), tmp_path)
