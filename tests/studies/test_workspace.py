"""The W&B workspace of a study: golden description, panels, and errors of pushing."""

import itertools
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from facegeo.errors import UserError
from facegeo.studies.comparison import compare
from facegeo.studies.runs import make_study, read_folder
from facegeo.studies.workspace import Compared, compared, push, workspace

Keep = Callable[..., Path]
GOLDEN = Path(__file__).with_name("workspace.json")
SIZES = Compared(
    "ccnn/sizes",
    "val",
    "error_pct",
    ("stage2",),
    ("model.stages.stage2.sizes", "data.augment.shake_sigma"),
)
DEPTH = Compared("casfne/depth", "test", "mean_deg", ("t0", "t1", "t2"), ("model.t",), panels=True)


def described(study: Compared) -> dict[str, Any]:
    """The JSON sent to W&B, with panels numbered instead of their random ids."""
    pytest.importorskip("wandb_workspaces")
    numbers = itertools.count(1)

    def numbered(node: dict[str, Any]) -> dict[str, Any]:
        return node | {"__id__": f"panel{next(numbers)}"} if "__id__" in node else node

    built = workspace(study, "facegeo", "lab")
    text = built._to_model().model_dump_json(by_alias=True, exclude_none=True)
    plain: dict[str, Any] = json.loads(text, object_hook=numbered)
    return plain


def panels(view: dict[str, Any]) -> dict[str, list[dict[str, Any]]]:
    sections = view["spec"]["section"]["panelBankConfig"]["sections"]
    return {section["name"]: section["panels"] for section in sections}


def test_workspace_equals_the_golden_one() -> None:
    assert described(SIZES) == json.loads(GOLDEN.read_text())  # write it anew: see the end


def test_runs_are_those_of_the_study_by_variant() -> None:
    (runs,) = described(DEPTH)["spec"]["section"]["runSets"]
    (kept,) = runs["filters"]["filters"]
    assert (kept["key"]["name"], kept["op"], kept["value"]) == ("group", "=", "casfne/depth")
    assert [group["name"] for group in runs["grouping"]] == ["variant.value"]


def test_every_refinement_has_its_curve_and_bar() -> None:
    view = panels(described(DEPTH))
    axes = {(p["config"]["xAxis"], *p["config"]["metrics"]) for p in view["Training curves"]}
    wanted = {("fit/batch", f"fit/val/t{t}/mean_deg") for t in range(3)}
    assert axes == wanted | {("fit/batch", "fit/train/loss")}
    bars = [p for p in view["Final metrics"] if p["viewType"] == "Bar Chart"]
    shown = [p["config"]["metrics"] for p in bars]
    assert shown == [[f"summary_metrics.test/t{t}/mean_deg"] for t in range(3)]
    assert "Pictures" in view


@pytest.mark.parametrize(("rows", "curves"), [(("mean_shape", "stage2"), 2), (("mean_shape",), 3)])
def test_an_untrained_row_has_a_bar_and_no_curve(rows: tuple[str, ...], curves: int) -> None:
    view = panels(described(Compared("mine", "val", "error_pct", rows)))
    shown = [p["config"]["metrics"][0] for p in view["Final metrics"]]
    assert "summary_metrics.val/mean_shape/error_pct" in shown
    axes = [p["config"]["xAxis"] for p in view["Training curves"]]
    assert axes == [f"stage{n}/batch" for n in range(1, curves + 1)] * 2


@pytest.mark.parametrize(("study", "has"), [(SIZES, True), (DEPTH, False)])
def test_two_keys_are_parallel_coordinates(study: Compared, has: bool) -> None:
    assert ("Settings and error" in panels(described(study))) == has


def test_without_the_library_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "wandb_workspaces.workspaces", None)
    with pytest.raises(UserError, match=r'pip install "facegeo\[dashboard\]"'):
        workspace(SIZES, "facegeo")


def test_pushing_without_an_account_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    import wandb

    def nobody() -> None:
        raise wandb.errors.UsageError("No API key configured.")

    monkeypatch.setattr(wandb, "Api", nobody)
    with pytest.raises(UserError, match=r"\(No API key configured.\); see `wandb login`"):
        push([make_study("s", [])], "facegeo", None)


def test_settings_that_vary_come_from_the_plan(
    keep_plan: Callable[..., None], tmp_path: Path
) -> None:
    jobs = [["data=lfpw", f"+a.b={value}", f"seed={seed}"] for value in "12" for seed in "01"]
    keep_plan(*jobs)
    study = compared(read_folder(tmp_path / "study"))
    assert (study.name, study.keys, study.measure) == ("a/study", ("a.b",), "error_pct")
    assert study.metrics == [f"val/stage{n}/error_pct" for n in (1, 2, 3)]  # none measured yet


@pytest.mark.parametrize(
    ("about", "metrics"),
    [
        (None, ["val/stage2/error_pct"]),
        ({"split": None, "rows": None}, ["val/stage2/error_pct"]),
        ({"split": "test", "measure": "fail10_pct"}, ["test/stage2/fail10_pct"]),
        ({"rows": ["mean_shape", "stage1"]}, ["val/mean_shape/error_pct", "val/stage1/error_pct"]),
        ({"rows": ["last"]}, ["val/stage2/error_pct"]),
    ],
    ids=str,
)
def test_workspace_shows_the_metrics_of_the_report(
    keep_run: Keep, about: dict[str, object] | None, metrics: list[str]
) -> None:
    ends = ("stage1/error_pct", "stage2/error_pct", "stage2/fail10_pct", "mean_shape/error_pct")
    found = {f"{split}/{end}": 1.0 for split in ("val", "test") for end in ends}
    for a in "bc":
        folder = keep_run(a, 0, {"a": a}, about=about)
        (folder / "metrics.json").write_text(json.dumps(found))
    study = read_folder(folder.parent)
    assert compared(study).metrics == metrics
    report = compare(study)
    assert {f"{report.split}/{row.entry}/{report.measure}" for row in report.rows} == set(metrics)


if __name__ == "__main__":  # python tests/studies/test_workspace.py, then look at the difference
    GOLDEN.write_text(json.dumps(described(SIZES), indent=1) + "\n")
