"""Which of two runs of one configuration and seed a study keeps."""

from collections.abc import Callable
from pathlib import Path

import pytest

from facegeo.studies.runs import make_study, read_run

Keep = Callable[..., Path]
EARLY, LATE = "2026-01-01T00:00:00", "2026-01-03T00:00:00"
BETWEEN, BEFORE_LATE = "2026-01-02T00:00:00", "2026-01-02T12:00:00"


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_the_run_that_ended_last_is_kept_whichever_began_first(
    keep_run: Keep, order: tuple[int, int]
) -> None:
    long = keep_run("a-long", 0, errors={"stage1": 1.0}, started=EARLY, ended=LATE)
    short = keep_run("b-short", 0, errors={"stage1": 2.0}, started=BETWEEN, ended=BEFORE_LATE)
    runs = [read_run((long, short)[place]) for place in order]
    study = make_study("mine", runs)
    assert [run.folder for run in study.runs] == [long]
    assert study.notes == (f"{short} is left out: {long} is the same run again.",)


def test_of_two_that_have_not_ended_the_last_to_begin_is_kept(keep_run: Keep) -> None:
    late = keep_run("a-late", 0, started=LATE, status="running")
    early = keep_run("b-early", 0, started=EARLY, status="running")
    study = make_study("mine", [read_run(late), read_run(early)])
    assert [run.folder for run in study.runs] == [late]
