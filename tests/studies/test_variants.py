"""Which runs are in one table, however their commands are written."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from facegeo.studies.comparison import compare
from facegeo.studies.facts import commands, facts, unfinished
from facegeo.studies.report import write_report
from facegeo.studies.runs import Study, make_study, read_folder, read_run
from facegeo.studies.variants import divide, find_variants, short_names

Keep = Callable[..., Path]


def names(study: Study) -> list[str]:
    return [variant.name for variant in find_variants(study)]


def test_runs_that_differ_only_in_seed_are_one_variant(keep_run: Keep, tmp_path: Path) -> None:
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
    torn = keep_run("task.rate=1+seed=1", 1, {"task.rate": 1})
    (torn / "config.json").write_text("{")
    found = find_variants(read_folder(tmp_path / "study"))
    assert [one.name for one in found] == ["rate=2", "rate=1"]
    assert [run.status for run in found[1].runs] == ["done", "failed"]
    assert [one.planned for one in found] == [2, 2]
    assert [len(one.done) for one in found] == [0, 1]


def test_names_come_from_settings_if_overrides_are_equal(keep_run: Keep) -> None:
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
def test_a_chosen_seed_of_the_data_is_a_setting(keep_run: Keep, plus: str) -> None:
    runs = []
    for seed in (5, 6):
        folder = keep_run(f"{seed}", 0, {"data.seed": seed}, overrides=[f"{plus}data.seed={seed}"])
        runs.append(read_run(folder))
    assert len(find_variants(make_study("x", runs))) == 2


def test_a_label_of_two_variants_is_completed(keep_run: Keep) -> None:
    about = {"labels": [{"when": {"task.a": 1}, "name": "L"}]}
    runs = [read_run(keep_run(f"{b}", 0, {"task.a": 1, "b": b}, about=about)) for b in (1, 2)]
    assert names(make_study("x", runs)) == ["L (b=1)", "L (b=2)"]


def test_the_first_label_that_fits_counts_and_an_empty_one_fits_all(keep_run: Keep) -> None:
    labels = [{"when": {"task.a": 1}, "name": "one"}, {"when": {}, "name": "rest"}]
    runs = [read_run(keep_run(f"{a}", 0, {"task.a": a}, about={"labels": labels})) for a in (1, 2)]
    assert names(make_study("x", runs)) == ["one", "rest"]


def test_labels_name_planned_variants(
    keep_run: Keep, keep_plan: Callable[..., None], tmp_path: Path
) -> None:
    labels = [
        {"when": {"experiment": "ccnn/tuned"}, "name": "tuned"},
        {"when": {"task.a": 2}, "name": "two"},
    ]
    keep_run("a", 0, {"task.a": 1}, about={"labels": labels})
    jobs = [["task.a=1", "seed=0"], ["task.a=2.0", "seed=0"], ["task.a=3", "seed=0"]]
    keep_plan(*jobs, about={"labels": labels})
    assert names(read_folder(tmp_path / "study")) == ["tuned", "two", "a=3"]


def test_keys_are_shortened_to_unique_ends() -> None:
    keys = ["model.s2.sizes.0", "model.s2.sizes.1", "task.lr", "model.s1.net", "model.s2.net"]
    assert list(short_names(keys).values()) == ["sizes.0", "sizes.1", "lr", "s1.net", "s2.net"]
    assert list(short_names(keys := ["net", "model.net", "0"]).values()) == keys


ABOUT = {"question": "why?", "rows": ["stage1"], "split": "test", "baseline": "a=1"}
KeepPlan = Callable[..., None]


@pytest.fixture
def keep(keep_run: Keep) -> Callable[..., list[str]]:
    """Writes a finished run and returns its overrides as a later command has them."""

    def write(name: str, seed: int, choices: dict[str, Any], error: float = 1.0) -> list[str]:
        keep_run(name, seed, choices, about=ABOUT, errors={"stage1": error})
        return [*(f"{key}={value}" for key, value in choices.items()), f"seed={seed}"]

    return write


@pytest.fixture
def found(tmp_path: Path) -> Callable[[], list[Study]]:
    return lambda: divide([read_folder(tmp_path / "study")])


def test_runs_of_other_settings_have_a_table_with_baseline_of_their_own(
    keep: Callable[..., list[str]],
    keep_plan: KeepPlan,
    found: Callable[[], list[Study]],
    tmp_path: Path,
) -> None:
    for time, data in enumerate(("smoke", "real")):
        jobs = [
            keep(f"{data}{a}{n}", n, {"a": a, "data.root": data}, a + n / 8)
            for a in (1, 2)
            for n in (0, 1)
        ]
        keep_plan(*jobs, base=data, shared=f"data={data}", about=ABOUT, time=time)
    studies = found()
    assert [study.name for study in studies] == ["a/study: data=real", "a/study: data=smoke"]
    for study, data in zip(studies, ("real", "smoke"), strict=True):
        comparison = compare(study)
        assert [row.name for row in comparison.rows] == ["a=1", "a=2"]
        assert comparison.baseline == "a=1"
        assert comparison.rows[1].difference is not None
        assert {run.config["data"]["root"] for run in study.runs} == {data}
        assert unfinished(comparison) == []
    page = write_report([tmp_path / "study"]).read_text()
    assert page.count('<section id="a-study-data-real">') == 1
    assert page.count('<section id="a-study-data-smoke">') == 1


def test_runs_of_older_defaults_are_a_study_of_their_own(
    keep: Callable[..., list[str]], keep_plan: KeepPlan, found: Callable[[], list[Study]]
) -> None:
    jobs = [keep(f"{a}{n}", n, {"a": a}) for a in (1, 2) for n in (0, 1)]
    keep("stale", 0, {"a": 1, "data.batch_size": 999})
    keep_plan(*jobs, base="base", about=ABOUT)
    now, others = found()
    assert unfinished(compare(now)) == []
    assert (now.name, others.name, len(others.runs)) == ("a/study", "a/study: others", 1)
    assert "No command of this study plans these runs" in others.notes[0]


def test_a_search_has_all_runs_and_counts_trials_left(
    keep: Callable[..., list[str]], keep_plan: KeepPlan, found: Callable[[], list[Study]]
) -> None:
    for a, error in ((1, 2.0), (2, 1.0), (3, 3.0)):
        keep(f"{a}", 0, {"a": a}, error)
    keep_plan(base="base", command="search", about=ABOUT, trials=20)
    (study,) = found()
    comparison = compare(study)
    assert facts(comparison)["Runs"] == "3 done, 17 planned"
    assert [row.name for row in comparison.rows] == ["a=2", "a=1", "a=3"]  # the best first
    assert commands(unfinished(comparison)) == ["search"]
    keep_plan(keep("4", 0, {"a": 4}), ["a=5", "seed=0"], base="base", command="grid", about=ABOUT)
    (study,) = found()
    comparison = compare(study)
    assert facts(comparison)["Runs"] == "4 done, 18 planned"  # of which one is of the grid
    assert commands(unfinished(comparison)) == ["grid", "search"]


def test_studies_of_one_name_are_numbered(
    keep: Callable[..., list[str]], found: Callable[[], list[Study]]
) -> None:
    keep("a", 0, {"a": 1})
    (study,) = found()
    assert [one.name for one in divide([study, study])] == ["a/study #1", "a/study #2"]


def test_a_seed_that_was_measured_elsewhere_is_to_do(
    keep_run: Keep, keep_plan: Callable[..., None], tmp_path: Path
) -> None:
    jobs = [["a=1", f"seed={n}"] for n in (0, 1)]
    keep_plan(*jobs, about=ABOUT)
    keep_run("0", 0, {"a": 1}, about=ABOUT, errors={"stage1": 1.0})
    other = keep_run("1", 1, {"a": 1}, about=ABOUT, errors={"stage1": 1.0}) / "metrics.json"
    other.write_text(other.read_text().replace("test/", "val/"))
    comparison = compare(read_folder(tmp_path / "study"))
    (left,) = unfinished(comparison)
    assert (left.seed, left.status) == (1, "not measured on test")
    assert facts(comparison)["Runs"] == "1 done, 1 not measured on test"
    page = write_report([tmp_path / "study"]).read_text()
    assert "This study is incomplete: 1 of 2 runs are done." in page


def test_an_axis_that_a_user_adds_leaves_labels_and_baseline(
    keep_run: Keep, tmp_path: Path
) -> None:
    labels = [{"when": {"a": a}, "name": name} for a, name in ((1, "off"), (2, "on"))]
    about = ABOUT | {"labels": labels, "baseline": "on"}
    for a in (1, 2):
        for b in (3, 4):
            keep_run(f"{a}{b}", 0, {"a": a, "b": b}, about=about, errors={"stage1": a + b})
    comparison = compare(read_folder(tmp_path / "study"))
    names = [row.name for row in comparison.rows]
    assert names == ["off (b=3)", "off (b=4)", "on (b=3)", "on (b=4)"]
    assert comparison.baseline == "on (b=3)"
