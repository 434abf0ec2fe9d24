"""``facegeo-train`` tells what became of a sweep, also when its launcher dies."""

from pathlib import Path

import pytest

from facegeo.cli import train
from facegeo.cli.app import INTERRUPTED, STOPPED
from facegeo.cli.mistakes import explain
from facegeo.studies import callback as study_callback


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What was told of a sweep that broke off."""
    found: list[str] = []
    monkeypatch.setattr(study_callback, "show_broken_off", lambda: found.append("told"))
    monkeypatch.setattr(study_callback, "FAILED", [])
    return found


@pytest.mark.parametrize(
    ("end", "tells"),
    [
        (SystemExit(2), 1),
        (RuntimeError("of the launcher"), 1),
        (SystemExit(INTERRUPTED), 0),
        (SystemExit(STOPPED), 0),
    ],
    ids=str,
)
def test_a_sweep_that_breaks_off_is_told_of(
    monkeypatch: pytest.MonkeyPatch, told: list[str], end: BaseException, tells: int
) -> None:
    def launch(*arguments: object, **more: object) -> None:
        raise end

    monkeypatch.setattr(train, "launch", launch)
    with pytest.raises(type(end)):
        train.main()
    assert len(told) == tells


@pytest.mark.parametrize("failed", [[], ["a folder"]])
def test_the_exit_code_says_whether_a_job_failed(
    monkeypatch: pytest.MonkeyPatch, told: list[str], failed: list[str]
) -> None:
    monkeypatch.setattr(train, "launch", lambda *arguments, **more: None)
    study_callback.FAILED.extend(failed)
    with pytest.raises(SystemExit) as end:
        train.main()
    assert (end.value.code, told) == (len(failed), [])


def test_a_killed_process_of_a_launcher_is_explained() -> None:
    class TerminatedWorkerError(Exception):
        """Called as joblib's."""

    message = explain(TerminatedWorkerError("exit code -9"), Path("train.yaml"), [])
    assert message is not None
    assert "a process of the launcher was killed" in message
    assert "the same command goes on" in message
