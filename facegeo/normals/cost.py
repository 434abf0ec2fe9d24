"""Cost of a generator: the true figures and, for Cas-FNE, those of the paper's Table IV.

Cas-FNE, Table IV, was counted by thop, whose figures differ from the truth in four ways (all
found by recomputing the printed numbers): the published network registers its ResNet twice, so
thop counts the multiplications of each call twice and then adds them up twice, and the
parameters twice; a transposed convolution is taken to multiply once an output pixel, four times
too often at stride 2; a batch norm counts as four multiplications a value; and the row "t = k" is
k - 1 refinements.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import asdict, dataclass
from functools import partial
from typing import cast

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from facegeo.files.tables import Cell, Table
from facegeo.normals.generator import CAT, CasFNE, PatchDiscriminator

SIDE = 256
DEPTHS = range(6)
MIB = 2**20
NORM_COST = 4
"""Multiplications that thop counts for each value of a batch norm."""

Layer = nn.Conv2d | nn.ConvTranspose2d | nn.Linear | nn.BatchNorm2d

PARTS = {
    "E_f": "encoder",
    "D_n": "initial",
    "E_cn": "block.encoder",
    "D_cn": "block.decoder",
}
NOTE = (
    "GMAC: 10^9 multiplications with a weight for one image of 256x256; twice that in FLOPs. "
    "Beside them the figures by the rule of the paper's Table IV, in whose row t=k there are k-1 "
    "refinements (it counts the ResNet's multiplications four times and its parameters twice, "
    "transposed convolutions on output pixels, and batch norms), and those that the paper prints."
)

OTHERS_NOTE = (
    "GMAC: 10^9 multiplications for one image of 256x256; twice that in FLOPs. Of them, attention "
    "multiplies features with features; all others are with a weight."
)


@dataclass(frozen=True)
class Cost:
    """The cost of ``t`` refinements for one image of 256x256.

    Attributes:
        t: Refinements.
        parameters: Of the layers that are used.
        macs: Multiplications with a weight.
        table4_parameters: Parameters by the rule of the paper's Table IV.
        table4_macs: Multiplications by that rule.
    """

    t: int
    parameters: int
    macs: int
    table4_parameters: int
    table4_macs: int


@dataclass(frozen=True)
class Call:
    """One call of a layer: its name, and its multiplications in truth and by thop."""

    name: str
    macs: int
    thop: int


def generator_costs(model: CasFNE) -> list[Cost]:
    """Count t = 0 to 5, or only t = 0 if the model was built with that.

    Args:
        model: Left as it is; nothing is computed.

    Returns:
        The costs, least ``t`` first.
    """
    encoder = sum(p.numel() for p in model.encoder.parameters())
    initial = encoder + sum(p.numel() for p in model.initial.parameters())
    everything = sum(p.numel() for p in model.parameters())
    costs = []
    for t in DEPTHS if model.block else (0,):
        calls = _calls(model, t)
        parameters = everything if t else initial
        thop = sum(call.thop * (4 if call.name.startswith("encoder.") else 1) for call in calls)
        macs = sum(call.macs for call in calls)
        costs.append(Cost(t, parameters, macs, parameters + encoder, thop))
    return costs


def profile_generator(model: CasFNE) -> dict[str, object]:
    """Count the cost of Cas-FNE's generator for one image of 256x256.

    Args:
        model: The paper's has 18,102,758 parameters.

    Returns:
        ``parameters``, ``macs`` and ``size_mb`` (4 bytes a parameter / 2^20) of the model as
        built, ``discriminator_parameters``, and ``t``: a list with a ``Cost`` as dict for each t.
        Plain numbers, ready for JSON.
    """
    macs = sum(call.macs for call in _calls(model, model.t))
    return _sizes(model) | {"macs": macs, "t": [asdict(cost) for cost in generator_costs(model)]}


def generator_tables(model: CasFNE, printed: Mapping[str, Mapping[str, float]]) -> list[Table]:
    """Tabulate a generator's costs: by t, in truth and as the paper counts, and part by part.

    Args:
        model: The generator.
        printed: The paper's Table IV: for its rows "t1" to "t5" their ``params_m`` (10^6) and
            ``flops_g`` (10^9). They are of CAT, and shown for no other fusion.
    """
    others = model.block is not None and not isinstance(model.block.decoder.fusions[0], CAT)
    rows: list[tuple[Cell, ...]] = []
    for cost in generator_costs(model):
        paper = {} if others and cost.t else printed.get(f"t{cost.t + 1}", {})
        rule = (cost.table4_parameters / 1e6, cost.table4_macs / 1e9)
        shown = (paper.get("params_m"), paper.get("flops_g"))
        name = f"t={cost.t + 1}" if paper else None
        rows.append((f"t={cost.t}", cost.parameters, cost.macs / 1e9, name, *rule, *shown))
    columns = ("", "parameters", "GMAC", "Table IV", "rule M", "rule G", "paper M", "paper G")
    digits = {"paper M": 1, "paper G": 1}
    title = "Cost of the generator after t refinements"
    return [Table(title, columns, tuple(rows), NOTE, digits), _part_table(model)]


def profile_other(model: nn.Module) -> dict[str, object]:
    """Count the cost of any other generator for one image of 256x256.

    Args:
        model: Maps images (B, 3, H, W) to normals; left as it is, and nothing is computed.

    Returns:
        ``parameters``, ``macs``, ``attention_macs`` (of ``macs``, those of features with
        features), ``size_mb`` and ``discriminator_parameters``: plain numbers, ready for JSON.
    """
    shapes = deepcopy(model).eval().to("meta")  # shapes without numbers: nothing is computed
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        shapes(torch.empty(1, 3, SIDE, SIDE, device="meta"))
    between = counter.get_flop_counts()["Global"].get(torch.ops.aten.bmm, 0)
    macs = {"macs": counter.get_total_flops() // 2, "attention_macs": between // 2}
    return _sizes(model) | macs


def other_costs(model: nn.Module) -> dict[str, dict[str, int]]:
    """Parameters and multiplications of any other generator, under ``t0``."""
    counts = cast("dict[str, int]", profile_other(model))
    return {"t0": {"parameters": counts["parameters"], "macs": counts["macs"]}}


def other_tables(model: nn.Module) -> list[Table]:
    """Tabulate the cost of any other generator, in one row."""
    counts = cast("dict[str, int]", profile_other(model))
    row = (type(model).__name__, counts["parameters"])
    gmacs = (counts["macs"] / 1e9, counts["attention_macs"] / 1e9)
    columns = ("", "parameters", "GMAC", "of it attention")
    return [Table("Cost of the generator", columns, ((*row, *gmacs),), OTHERS_NOTE)]


def _sizes(model: nn.Module) -> dict[str, object]:
    parameters = sum(p.numel() for p in model.parameters())
    return {
        "parameters": parameters,
        "size_mb": round(4 * parameters / MIB, 4),
        "discriminator_parameters": sum(p.numel() for p in PatchDiscriminator().parameters()),
    }


def _part_table(model: CasFNE) -> Table:
    calls = _calls(model, min(model.t, 1))
    rows: list[tuple[Cell, ...]] = []
    for name, prefix in PARTS.items():
        if model.block or not prefix.startswith("block."):
            parameters = sum(p.numel() for p in model.get_submodule(prefix).parameters())
            macs = sum(call.macs for call in calls if call.name.startswith(f"{prefix}."))
            rows.append((name, parameters, macs / 1e9))
    return Table("One call of each part", ("", "parameters", "GMAC"), tuple(rows))


def _calls(model: CasFNE, t: int) -> Sequence[Call]:
    """Every layer that multiplies, in the order of its calls, for one image."""
    shapes = deepcopy(model).eval().to("meta")  # shapes without numbers: nothing is computed
    calls: list[Call] = []
    for name, module in shapes.named_modules():
        if isinstance(module, Layer):
            module.register_forward_hook(partial(_note, calls, name))
    shapes(torch.empty(1, 3, SIDE, SIDE, device="meta"), t)
    return calls


def _note(
    calls: list[Call], name: str, module: Layer, inputs: tuple[Tensor, ...], output: Tensor
) -> None:
    if isinstance(module, nn.BatchNorm2d):
        calls.append(Call(name, 0, NORM_COST * output.numel()))
        return
    # A weight is (out, in, ...), but (in, out, ...) in a transposed convolution.
    each = module.weight[0].numel()
    if isinstance(module, nn.ConvTranspose2d):
        taken = output.numel() * module.weight[:, 0].numel()
        calls.append(Call(name, inputs[0].numel() * each, taken))
        return
    calls.append(Call(name, output.numel() * each, output.numel() * each))
