"""What commands ask for, united in one plan: no job forgotten, none twice, whatever its words."""

import json
from dataclasses import replace
from functools import reduce

import pytest

from facegeo.runs.plan import Job, Part, read_parts, united, write_parts


def part(*seeds: int, command: str = "c", base: str = "b", words: str = "out=a") -> Part:
    jobs = tuple(Job((f"seed={n}", words), n, f"key{n}", "variant") for n in seeds)
    return Part(base, "data=x", command, {"question": "why?"}, jobs)


def plan(*parts: Part) -> tuple[Part, ...]:
    return reduce(united, parts, ())


def test_a_smaller_sweep_forgets_no_job_of_the_study() -> None:
    (merged,) = plan(part(0, 1, 2, command="all"), part(0, command="one", words="out=b"))
    assert [job.words for job in merged.jobs] == [
        ("seed=0", "out=b"),
        ("seed=1", "out=a"),
        ("seed=2", "out=a"),
    ]
    assert merged.command == "all"


def test_a_larger_sweep_is_the_one_that_finishes_the_study() -> None:
    assert plan(part(0), part(0, 1, command="more")) == (part(0, 1, command="more"),)


def test_sweeps_beside_each_other_finish_the_study_together() -> None:
    (merged,) = plan(
        part(0, 1, command="a"),
        part(2, 3, command="b"),
        part(2, 3, command="b"),
        part(0, command="a seed=0"),
    )
    assert merged.command == "a && b"
    assert {job.seed for job in merged.jobs} == {0, 1, 2, 3}


def test_a_grid_forgets_no_search() -> None:
    search = replace(part(command="search"), trials=40)
    (merged,) = plan(search, part(0, command="grid"))
    assert (merged.trials, merged.command, len(merged.jobs)) == (40, "search && grid", 1)
    (ended,) = plan(replace(search, trials=0), part(0, command="grid"))
    assert (ended.trials, ended.command) == (0, "grid")


def test_jobs_keep_the_order_in_which_they_were_asked_for() -> None:
    (merged,) = plan(part(2), part(0, 1))
    assert [job.seed for job in merged.jobs] == [2, 0, 1]
    (whole,) = plan(part(2), part(0, 1, 2))
    assert [job.seed for job in whole.jobs] == [0, 1, 2]


def test_jobs_with_other_words_are_the_same_job() -> None:
    (merged,) = plan(part(0, 1), part(0, 1, command="longer", words="experiment=the/default"))
    assert len(merged.jobs) == 2
    assert merged.command == "longer"


def test_other_settings_are_another_part_and_the_last_comes_first() -> None:
    real, smoke = part(0, 1), part(0, 1, command="smoke", base="s")
    assert plan(real, smoke) == (smoke, real)
    assert plan(real, smoke, real) == (real, smoke)


def test_a_plan_comes_back_as_it_was_written() -> None:
    parts = plan(part(0, 1), replace(part(base="search"), trials=20))
    assert read_parts(json.loads(json.dumps(write_parts("s", parts)))) == parts


@pytest.mark.parametrize("torn", [{}, {"parts": 1}, {"parts": [1]}, {"parts": [{"jobs": [{}]}]}])
def test_damaged_plan_has_no_parts(torn: dict[str, object]) -> None:
    assert read_parts(torn) == ()
