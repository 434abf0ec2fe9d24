"""``facegeo-train`` reports the jobs of a sweep, also when its launcher dies."""

import json
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import lightning  # noqa: F401  # its first import changes the environment
import pytest
from omegaconf import OmegaConf

from facegeo.runs.jobs import Outcome
from facegeo.studies import callback as study_callback

Command = Callable[..., Any]  # returns Ended of conftest.py
INTERRUPT = "+logger.x={_target_:signal.raise_signal,_args_:[2]}"


@pytest.fixture
def _begun(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A sweep of this process of which one job has ended."""
    config = {"study": None, "dry_run": False, "hydra": {"sweep": {"dir": str(tmp_path)}}}
    monkeypatch.setattr(study_callback, "BEGUN", [OmegaConf.create(config)])
    monkeypatch.setattr(study_callback, "FAILED", [])
    (tmp_path / "jobs").mkdir()
    outcome = json.dumps(Outcome("a", [], "done").__dict__)
    (tmp_path / "jobs" / "00000.json").write_text(outcome)


@pytest.fixture
def _interruptible() -> Iterator[None]:
    """Python's own handler of SIGINT, which is ignored where the tests run in the background."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("_begun", "_interruptible")
@pytest.mark.parametrize(
    ("word", "code", "shown"), [("sed=1", 2, "1 jobs: 1 done\n"), (INTERRUPT, 130, "")]
)
def test_a_sweep_that_broke_off_is_reported_unless_it_was_interrupted(
    command: Command, tmp_path: Path, word: str, code: int, shown: str
) -> None:
    ended = command("train", word, f"out={tmp_path}")
    assert (ended.code, ended.out) == (code, shown), ended.err


@pytest.mark.usefixtures("_begun")
@pytest.mark.parametrize("failed", [[], ["a folder"]])
def test_exit_code_is_1_if_a_job_failed(command: Command, failed: list[str]) -> None:
    study_callback.FAILED.extend(failed)
    assert command("train", "--version").code == len(failed)
