"""``facegeo-train`` reports the jobs of a sweep, also when its launcher dies."""

import pytest

from facegeo.cli import train
from facegeo.cli.app import INTERRUPTED, STOPPED
from facegeo.studies import callback as study_callback


@pytest.fixture
def reported(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Reports of a sweep that was broken off."""
    found: list[str] = []
    monkeypatch.setattr(study_callback, "show_broken_off", lambda: found.append("shown"))
    monkeypatch.setattr(study_callback, "FAILED", [])
    return found


@pytest.mark.parametrize(
    ("end", "reports"),
    [
        (SystemExit(2), 1),
        (RuntimeError("of the launcher"), 1),
        (SystemExit(INTERRUPTED), 0),
        (SystemExit(STOPPED), 0),
    ],
    ids=str,
)
def test_a_broken_off_sweep_is_reported(
    monkeypatch: pytest.MonkeyPatch, reported: list[str], end: BaseException, reports: int
) -> None:
    def launch(*arguments: object, **more: object) -> None:
        raise end

    monkeypatch.setattr(train, "launch", launch)
    with pytest.raises(type(end)):
        train.main()
    assert len(reported) == reports


@pytest.mark.parametrize("failed", [[], ["a folder"]])
def test_the_exit_code_says_whether_a_job_failed(
    monkeypatch: pytest.MonkeyPatch, reported: list[str], failed: list[str]
) -> None:
    monkeypatch.setattr(train, "launch", lambda *arguments, **more: None)
    study_callback.FAILED.extend(failed)
    with pytest.raises(SystemExit) as end:
        train.main()
    assert (end.value.code, reported) == (len(failed), [])
