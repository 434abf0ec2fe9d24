from collections.abc import Callable
from pathlib import Path

import pytest

from facegeo.studies.comparison import Comparison, compare
from facegeo.studies.facts import commands, duration, facts, unfinished
from facegeo.studies.runs import read_folder

Keep = Callable[..., Path]


def read(tmp_path: Path) -> Comparison:
    return compare(read_folder(tmp_path / "study"))


def test_what_is_missing_is_listed_with_its_state(
    keep_run: Keep, keep_plan: Callable[..., None], tmp_path: Path
) -> None:
    keep_plan(*([f"a={a}", f"seed={seed}"] for a in (1, 2) for seed in (0, 1)))
    keep_run("a", 0, {"a": 1}, errors={"stage1": 1.0})
    failed = keep_run("b", 1, {"a": 1}, status="failed", error="ValueError: no")
    keep_run("c", 0, {"a": 2}, status="running")
    found = unfinished(read(tmp_path))
    assert [(job.variant, job.seed, job.status, job.error) for job in found] == [
        ("a=1", 1, "failed", "ValueError: no"),
        ("a=2", 0, "running", None),
        ("a=2", 1, "planned", None),
    ]
    assert found[0].link == str(failed)


def test_a_finished_study_has_nothing_left(
    keep_run: Keep, keep_plan: Callable[..., None], tmp_path: Path
) -> None:
    keep_plan(["a=1", "seed=0"], ["a=2"])
    keep_run("a", 0, {"a": 1}, errors={"stage1": 1.0})
    keep_run("b", 0, {"a": 2}, errors={"stage1": 1.0}, overrides=["a=2"])
    assert unfinished(read(tmp_path)) == []


def test_a_job_without_a_seed_is_planned_until_it_is_begun(
    keep_plan: Callable[..., None], tmp_path: Path
) -> None:
    keep_plan(["a=1"], ["a=2"])
    assert [job.status for job in unfinished(read(tmp_path))] == ["planned", "planned"]


def test_the_command_that_began_a_study_finishes_it(
    keep_plan: Callable[..., None], tmp_path: Path
) -> None:
    keep_plan(["a=1", "seed=0"], command="facegeo-train -m ablation=x")
    comparison = read(tmp_path)
    assert commands(comparison, unfinished(comparison)) == ["facegeo-train -m ablation=x"]


@pytest.mark.parametrize(
    ("given", "line"),
    [
        ([], "facegeo-train experiment=ccnn/tuned study=a/study 'a={b: 1}' seed=0"),
        (["ablation=ccnn/x"], "facegeo-train -m ablation=ccnn/x 'a={b: 1}' seed=0"),
        (
            ["study=y", "experiment=z"],
            "facegeo-train study=y experiment=z 'a={b: 1}' seed=0",
        ),
    ],
)
def test_without_it_each_job_has_a_command(
    keep_run: Keep, tmp_path: Path, given: list[str], line: str
) -> None:
    keep_run("a", 0, status="failed", overrides=[*given, "a={b: 1}", "seed=0"])
    comparison = read(tmp_path)
    assert commands(comparison, unfinished(comparison)) == [line]


def test_facts_are_gathered_from_the_records(keep_run: Keep, tmp_path: Path) -> None:
    keep_run("a", 0, errors={"stage1": 1.0}, packages={"torch": "2.13.0", "other": "1"})
    keep_run("b", 1, errors={"stage1": 1.0}, wall_s=3540, git={"commit": "c0ffee", "dirty": True})
    keep_run("c", 2, status="failed", device="another")
    assert facts(read(tmp_path)) == {
        "Runs": "2 done, 1 failed",
        "Data": "faces (LFPWDataModule, 1234567890ab)",
        "Commit": "c0ffee0123 (1 runs); c0ffee with changes (1 runs)",
        "Device": "a processor",
        "Wall time": "1 h 1 min",
        "Software": "torch 2.13.0",
    }


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, ""), (59, "59 s"), (119, "2 min"), (7260, "2 h 1 min")]
)
def test_durations_are_said_as_people_do(seconds: float, text: str) -> None:
    assert duration(seconds) == text
