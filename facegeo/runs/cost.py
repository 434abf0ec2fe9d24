"""What a model costs, entry by entry: for its record and for the plot of cost against error."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from torch import nn

    from facegeo.landmarks.nets import Cascade

Costs = dict[str, dict[str, int]]


def model_costs(model: nn.Module) -> Costs:
    """Parameters and multiplications with a weight for one face, for each entry of its metrics.

    Args:
        model: A cascade (``stage1``: the first stage, ``stage2``: the first two, ...) or a
            generator of normals (``t0``, ``t1``, ..., at 256 x 256 pixels).
    """
    from facegeo.landmarks.nets import Cascade
    from facegeo.normals.generator import CasFNE

    if isinstance(model, Cascade):
        return _cascade_costs(model)
    if isinstance(model, CasFNE):
        from facegeo.normals.cost import generator_costs

        return {
            f"t{cost.t}": {"parameters": cost.parameters, "macs": cost.macs}
            for cost in generator_costs(model)
        }
    from facegeo.normals.cost import profile_other

    counts = cast("dict[str, int]", profile_other(model))
    return {"t0": {"parameters": counts["parameters"], "macs": counts["macs"]}}


def _cascade_costs(cascade: Cascade) -> Costs:
    from facegeo.landmarks.cost import profile_cascade

    nets = cast("dict[str, dict[str, Any]]", profile_cascade(cascade)["nets"])
    costs: Costs = {}
    parameters = macs = 0
    for number, stage in enumerate(cascade.stages, 1):
        mine = [net for net in nets.values() if net["stage"] == stage]
        parameters += sum(net["parameters"] for net in mine)
        macs += sum(net["macs"] for net in mine)
        costs[f"stage{number}"] = {"parameters": parameters, "macs": macs}
    return costs
