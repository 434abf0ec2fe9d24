import json
import sys
from pathlib import Path
from typing import Any

import pytest

from facegeo.errors import UserError
from facegeo.studies.dashboard import Compared, as_json, push, workspace

GOLDEN = Path(__file__).with_name("workspace.json")
SIZES = Compared(
    "ccnn/sizes",
    {"rows": ["stage2"], "measure": "error_pct", "split": "val", "plots": ["points"]},
    ("model.stages.stage2.sizes", "data.augment.shake_sigma"),
)
DEPTH = Compared(
    "casfne/depth",
    {"rows": ["last"], "measure": "mean_deg", "split": "test", "plots": ["panels"]},
    ("model.t",),
)


def described(study: Compared) -> dict[str, Any]:
    pytest.importorskip("wandb_workspaces")
    return as_json(workspace(study, "facegeo", "lab"))


def panels(view: dict[str, Any]) -> dict[str, list[dict[str, Any]]]:
    sections = view["spec"]["section"]["panelBankConfig"]["sections"]
    return {section["name"]: section["panels"] for section in sections}


def test_workspace_is_the_one_that_was_looked_at() -> None:
    assert described(SIZES) == json.loads(GOLDEN.read_text())  # write it anew: see the end


def test_runs_are_those_of_the_study_by_variant() -> None:
    (runs,) = described(DEPTH)["spec"]["section"]["runSets"]
    (kept,) = runs["filters"]["filters"]
    assert (kept["key"]["name"], kept["op"], kept["value"]) == ("group", "=", "casfne/depth")
    assert [group["name"] for group in runs["grouping"]] == ["variant.value"]


def test_every_refinement_has_its_curve_and_bar() -> None:
    view = panels(described(DEPTH))
    axes = {(p["config"]["xAxis"], *p["config"]["metrics"]) for p in view["While they learn"]}
    wanted = {("fit/batch", f"fit/val/t{t}/mean_deg") for t in range(6)}
    assert axes == wanted | {("fit/batch", "fit/train/loss")}
    bars = [p for p in view["Final metrics"] if p["viewType"] == "Bar Chart"]
    shown = [p["config"]["metrics"] for p in bars]
    assert shown == [[f"summary_metrics.test/t{t}/mean_deg"] for t in range(6)]
    assert "Pictures" in view


def test_what_learns_nothing_has_a_bar_and_no_curve() -> None:
    about = {"rows": ["mean_shape", "stage2"], "measure": "error_pct", "split": "val"}
    for rows, curves in ((["mean_shape", "stage2"], 2), (["mean_shape"], 3)):
        view = panels(described(Compared("mine", about | {"rows": rows}, ())))
        shown = [p["config"]["metrics"][0] for p in view["Final metrics"]]
        assert "summary_metrics.val/mean_shape/error_pct" in shown
        axes = [p["config"]["xAxis"] for p in view["While they learn"]]
        assert axes == [f"stage{n}/batch" for n in range(1, curves + 1)] * 2


@pytest.mark.parametrize(("study", "has"), [(SIZES, True), (DEPTH, False)])
def test_two_keys_are_parallel_coordinates(study: Compared, has: bool) -> None:
    assert ("What was varied" in panels(described(study))) == has


def test_two_descriptions_are_alike() -> None:
    assert json.dumps(described(SIZES)) == json.dumps(described(SIZES))


def test_without_the_library_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "wandb_workspaces.workspaces", None)
    with pytest.raises(UserError, match=r'pip install "facegeo\[dashboard\]"'):
        workspace(SIZES, "facegeo")


def test_pushing_without_an_account_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    import wandb

    def nobody() -> None:
        raise wandb.errors.UsageError("No API key configured.")

    monkeypatch.setattr(wandb, "Api", nobody)
    with pytest.raises(UserError, match=r"\(No API key configured.\); see `wandb login`"):
        push([SIZES], "facegeo", None)


if __name__ == "__main__":  # python tests/tracking/test_dashboard.py, then look at the difference
    GOLDEN.write_text(json.dumps(as_json(workspace(SIZES, "facegeo", "lab")), indent=1) + "\n")
