"""What a model costs, entry by entry: for the plot of cost against error."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from facegeo.errors import UserError
from facegeo.studies.runs import StudyRun

if TYPE_CHECKING:
    from torch import nn

    from facegeo.models.ccnn import Cascade

Costs = dict[str, dict[str, int]]


def run_costs(run: StudyRun) -> Costs:
    """Parameters and multiplications by entry: as the run recorded, else from its model's file.

    Returns:
        ``{"t2": {"parameters": ..., "macs": ...}}``; empty if there is neither.
    """
    recorded = run.record.get("cost")
    if recorded:
        return dict(recorded)
    if run.folder is None:
        return {}
    from facegeo.checkpoint import MODEL, load_model

    try:
        return model_costs(load_model(run.folder / MODEL)[0])
    except UserError:  # there is no model, or no whole one
        return {}


def model_costs(model: nn.Module) -> Costs:
    """Parameters and multiplications with a weight for one face, for each entry of its metrics.

    Args:
        model: A cascade (``stage1``: the first stage, ``stage2``: the first two, ...) or a
            generator of normals (``t0``, ``t1``, ..., at 256 x 256 pixels).
    """
    from facegeo.models.casfne.generator import CasFNE
    from facegeo.models.ccnn import Cascade

    if isinstance(model, Cascade):
        return _cascade_costs(model)
    if isinstance(model, CasFNE):
        from facegeo.profile.generator import generator_costs

        return {
            f"t{cost.t}": {"parameters": cost.parameters, "macs": cost.macs}
            for cost in generator_costs(model)
        }
    from facegeo.profile.generator import profile_other

    counts = cast("dict[str, int]", profile_other(model))
    return {"t0": {"parameters": counts["parameters"], "macs": counts["macs"]}}


def _cascade_costs(cascade: Cascade) -> Costs:
    from facegeo.profile.cascade import profile_cascade

    nets = cast("dict[str, dict[str, Any]]", profile_cascade(cascade)["nets"])
    costs: Costs = {}
    parameters = macs = 0
    for number, stage in enumerate(cascade.stages, 1):
        mine = [net for net in nets.values() if net["stage"] == stage]
        parameters += sum(net["parameters"] for net in mine)
        macs += sum(net["macs"] for net in mine)
        costs[f"stage{number}"] = {"parameters": parameters, "macs": macs}
    return costs
