"""What a cascade costs: weights, multiply-accumulates and size, layer by layer.

Counted from the shapes of the weights, exactly; CCNN, Table 2 and Table 3 are regenerated.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import cast

from facegeo.models.ccnn import Cascade, Stage
from facegeo.models.net_bank import NetBank
from facegeo.profile.layers import Layer, module_layers, net_layers
from facegeo.tables import Cell, Table

MIB = 2**20
NOTE = (
    "A row has the figures of one such net. weights: without biases, as the paper counts; "
    "parameters: with them. MACs: multiplications "
    "with a weight for one face, cutting out windows not counted; twice that in FLOPs. "
    "MB: 4 bytes a weight / 2^20, as the paper prints."
)
TABLE3_NOTE = (
    "MB: 4 bytes each / 2^20. As printed: CCNN counts weights alone, the ResNets are those with "
    "1,000 classes and all parameters, of which ResNet-34 has 83.15 MB (a digit is wrong). "
    "ms: a face on the paper's GPU."
)


def profile_cascade(cascade: Cascade) -> dict[str, object]:
    """Count what a cascade costs for one face, in total and net by net.

    Args:
        cascade: Of any stages; the paper's has 23 nets, 643,920 weights and 647,102 parameters.

    Returns:
        ``weights``, ``parameters``, ``macs`` and ``size_mb`` of all nets together, and ``nets``:
        the same of each net by its name, with its ``stage`` and its ``layers`` (``Layer`` as a
        dict). Plain numbers and strings, ready for JSON.
    """
    nets = _nets(cascade)
    total = _costs([layer for _, layers in nets.values() for layer in layers])
    each = {
        name: {"stage": stage} | _costs(layers) | {"layers": [asdict(layer) for layer in layers]}
        for name, (stage, layers) in nets.items()
    }
    return total | {"nets": each}


def profile_tables(
    cascade: Cascade, printed: Mapping[str, Mapping[str, float]] | None = None
) -> list[Table]:
    """Tabulate a cascade's costs: nets of one build and the total, then the layers of each build.

    Args:
        cascade: Of any stages.
        printed: The paper's Table 3: for each row its ``size_mb`` and ``time_ms``.

    Returns:
        The costs; where ``printed`` is given the size beside it; then one table a build in the
        columns of the paper's Table 2.
    """
    builds: dict[tuple[Layer, ...], list[str]] = {}
    for name, (_, layers) in _nets(cascade).items():
        builds.setdefault(tuple(layers), []).append(name)
    rows: list[tuple[Cell, ...]] = [
        (_names(names), len(names), *_costs(layers).values()) for layers, names in builds.items()
    ]
    everything = [layer for layers, names in builds.items() for layer in layers * len(names)]
    count = sum(len(names) for names in builds.values())
    rows.append(("all together", count, *_costs(everything).values()))
    columns = ("net", "number", "weights", "parameters", "MACs", "MB")
    tables = [Table("Cost of the cascade for one face", columns, tuple(rows), NOTE)]
    if printed is not None:
        tables.append(_table_3(_costs(everything), printed))
    return tables + [_layer_table(_names(names), layers) for layers, names in builds.items()]


def _nets(cascade: Cascade) -> dict[str, tuple[str, list[Layer]]]:
    """Name of each net -> its stage and layers."""
    nets = {}
    for stage_name, module in cascade.stages.items():
        stage = cast("Stage", module)
        for number, name in enumerate(cast("Sequence[str]", stage.names)):
            nets[name] = (stage_name, _layers(stage, number))
    return nets


def _layers(stage: Stage, net: int) -> list[Layer]:
    if isinstance(stage.bank, NetBank):
        return net_layers(stage.bank, net)
    channels = 1 if stage.colour == "grey" else 3
    return module_layers(stage.bank.nets[net], channels, stage.input_size)


def _table_3(costs: Mapping[str, int | float], printed: Mapping[str, Mapping[str, float]]) -> Table:
    """The size of this cascade, with and without biases, above the rows that the paper prints."""
    rows: list[tuple[Cell, ...]] = [
        ("counted: weights", 4 * costs["weights"] / MIB, None),
        ("counted: all parameters", 4 * costs["parameters"] / MIB, None),
    ]
    for name, cell in printed.items():
        rows.append((f"printed: {name}", cell.get("size_mb"), cell.get("time_ms")))
    title = "Size beside the paper's Table 3"
    return Table(title, ("", "MB", "ms"), tuple(rows), TABLE3_NOTE)


def _costs(layers: Sequence[Layer]) -> dict[str, int | float]:
    weights = sum(layer.weights for layer in layers)
    return {
        "weights": weights,
        "parameters": weights + sum(layer.biases for layer in layers),
        "macs": sum(layer.macs for layer in layers),
        "size_mb": round(4 * weights / MIB, 4),
    }


def _layer_table(title: str, layers: Sequence[Layer]) -> Table:
    columns = ("name", "input", "kernel/step", "output", "weights", "biases", "MACs")
    rows: list[tuple[Cell, ...]] = []
    for one in layers:
        counts = (one.weights or None, one.biases or None, one.macs or None)
        rows.append((one.name, one.input, one.kernel, one.output, *counts))
    return Table(f"Layers of {title}", columns, tuple(rows))


def _names(names: Sequence[str]) -> str:
    return ", ".join(names) if len(names) < 4 else f"{names[0]}, {names[1]} ... {names[-1]}"
