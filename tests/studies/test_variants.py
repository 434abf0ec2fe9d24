from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from facegeo.runs.plan import job_seed
from facegeo.studies.runs import Study, make_study, read_folder, read_run
from facegeo.studies.variants import find_variants, short_names

Keep = Callable[..., Path]


def names(study: Study) -> list[str]:
    return [variant.name for variant in find_variants(study)]


def test_runs_that_differ_in_seed_alone_are_one_variant(keep_run: Keep, tmp_path: Path) -> None:
    for seed in (0, 1):
        for rate in (0.1, 0.2):
            keep_run(f"{rate}-{seed}", seed, {"task.rate": rate}, errors={"stage1": 1.0})
    found = find_variants(read_folder(tmp_path / "study"))
    assert [(one.name, [run.seed for run in one.runs]) for one in found] == [
        ("rate=0.1", [0, 1]),
        ("rate=0.2", [0, 1]),
    ]


def test_equal_settings_asked_for_differently_are_one_variant(keep_run: Keep) -> None:
    one = read_run(keep_run("a", 0, errors={"stage1": 1.0}))
    other = read_run(keep_run("b", 1, errors={"stage1": 1.0}, overrides=["out=x", "seed=1"]))
    assert len(find_variants(make_study("x", [one, other]))) == 1


def test_jobs_and_torn_runs_join_the_variant_of_their_overrides(
    keep_run: Keep, keep_plan: Callable[..., None], tmp_path: Path
) -> None:
    keep_plan(*([f"task.rate={rate}", f"seed={seed}"] for rate in (2, 1) for seed in (0, 1)))
    keep_run("a", 0, {"task.rate": 1}, errors={"stage1": 1.0})
    torn = keep_run("b", 1, {"task.rate": 1})
    (torn / "config.json").write_text("{")
    found = find_variants(read_folder(tmp_path / "study"))
    assert [one.name for one in found] == ["rate=2", "rate=1"]
    assert [run.status for run in found[1].runs] == ["done", "failed"]
    assert [one.planned for one in found] == [2, 2]
    assert [len(one.done) for one in found] == [0, 1]


def test_names_come_from_settings_where_overrides_do_not_tell(keep_run: Keep) -> None:
    runs = [
        read_run(keep_run(f"{size}", 0, {"data.size": size}, errors={"stage1": 1.0}, overrides=[]))
        for size in (64, 128)
    ]
    assert names(make_study("x", runs)) == ["size=64", "size=128"]


@pytest.mark.parametrize(
    ("when", "labelled"),
    [
        ({"task.weights.tv": 0}, ["tv", "both"]),
        ({"task.weights": {"adv": 0}}, ["both"]),
        ({"task": {"weights": {"adv": 0}}}, ["both"]),
        ({"task.weights.tv": 0, "task.weights.adv": 0}, ["both"]),
        ({"task.weights.tv.deeper": 0}, []),
        ({"task.weights": {}}, ["tv", "both", "none"]),
    ],
)
def test_labels_ask_for_settings(keep_run: Keep, when: dict[str, Any], labelled: list[str]) -> None:
    about = {"labels": [{"when": when, "name": "L"}]}
    cases: dict[str, dict[str, int]] = {"tv": {"tv": 0}, "both": {"tv": 0, "adv": 0}, "none": {}}
    for name, case in cases.items():
        run = read_run(keep_run(name, 0, {"task.weights": case}, about=about))
        assert names(make_study("x", [run])) == ["L" if name in labelled else "ccnn/tuned"]


@pytest.mark.parametrize("plus", ["", "+", "++"])
def test_a_part_s_own_seed_that_is_chosen_is_a_choice(keep_run: Keep, plus: str) -> None:
    runs = []
    for seed in (5, 6):
        folder = keep_run(f"{seed}", 0, {"data.seed": seed}, overrides=[f"{plus}data.seed={seed}"])
        runs.append(read_run(folder))
    assert len(find_variants(make_study("x", runs))) == 2


def test_a_label_that_fits_two_variants_is_told_apart(keep_run: Keep) -> None:
    about = {"labels": [{"when": {"task.a": 1}, "name": "L"}]}
    runs = [read_run(keep_run(f"{b}", 0, {"task.a": 1, "b": b}, about=about)) for b in (1, 2)]
    assert names(make_study("x", runs)) == ["L (b=1)", "L (b=2)"]


def test_the_first_label_that_fits_counts_and_an_empty_one_fits_all(keep_run: Keep) -> None:
    labels = [{"when": {"task.a": 1}, "name": "one"}, {"when": {}, "name": "rest"}]
    runs = [read_run(keep_run(f"{a}", 0, {"task.a": a}, about={"labels": labels})) for a in (1, 2)]
    assert names(make_study("x", runs)) == ["one", "rest"]


def test_labels_name_what_nobody_began(
    keep_run: Keep, keep_plan: Callable[..., None], tmp_path: Path
) -> None:
    labels = [
        {"when": {"experiment": "ccnn/tuned"}, "name": "tuned"},
        {"when": {"task.a": 2}, "name": "two"},
    ]
    keep_run("a", 0, {"task.a": 1}, about={"labels": labels})
    keep_plan(["task.a=1", "seed=0"], ["task.a=2.0", "seed=0"], ["task.a=3", "seed=0"])
    assert names(read_folder(tmp_path / "study")) == ["tuned", "two", "a=3"]


def test_keys_are_shortened_to_what_tells_them_apart() -> None:
    keys = ["model.s2.sizes.0", "model.s2.sizes.1", "task.lr", "model.s1.net", "model.s2.net"]
    assert list(short_names(keys).values()) == ["sizes.0", "sizes.1", "lr", "s1.net", "s2.net"]
    assert list(short_names(keys := ["net", "model.net", "0"]).values()) == keys


@pytest.mark.parametrize(
    ("job", "seed"), [(["a=1", "seed=3"], 3), (["seed=1", "seed=2"], 2), (["data.seed=1"], None)]
)
def test_seed_of_a_job(job: list[str], seed: int | None) -> None:
    assert job_seed(job) == seed
