"""What a cascade costs: weights, multiply-accumulates and size, layer by layer.

Counted from the shapes of the weights, exactly; CCNN, Table 2 and Table 3 are regenerated.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import cast

from facegeo.models.ccnn import Cascade, Stage
from facegeo.models.net_bank import NetBank
from facegeo.tables import Cell, Table

MIB = 2**20
NOTE = (
    "A row has the figures of one such net. weights: without biases, as the paper counts; "
    "parameters: with them. MACs: multiplications "
    "with a weight for one face, cutting out windows not counted; twice that in FLOPs. "
    "MB: 4 bytes a weight / 2^20, as the paper prints."
)


@dataclass(frozen=True)
class Layer:
    """One line of the paper's Table 2.

    Attributes:
        name: As the paper has it: conv1, pool1, ..., 120d-fc1, 10d-fc2.
        input: Shape that comes in, height x width x channels, or a number of values.
        kernel: Kernel side x side x output channels / step; "-" for a fully connected layer.
        output: Shape that goes out, written like ``input``.
        weights: Number of weights, biases left out.
        biases: Number of biases.
        macs: Multiplications with a weight for one face.
    """

    name: str
    input: str
    kernel: str
    output: str
    weights: int = 0
    biases: int = 0
    macs: int = 0


def net_layers(bank: NetBank, net: int) -> list[Layer]:
    """List the layers of net number ``net`` of a bank, first to last."""
    side, layers = bank.input_size, []
    shape = f"{side}x{side}x{bank.conv_weights[0].shape[2]}"
    for number, weight in enumerate(bank.conv_weights, 1):
        _, channels, width, kernel, _ = weight.shape
        weights, side = channels * width * kernel * kernel, side - kernel + 1
        convolved = f"{side}x{side}x{channels}"
        layers.append(
            Layer(
                f"conv{number}",
                shape,
                f"{kernel}x{kernel}x{channels}/1",
                convolved,
                weights,
                channels,
                weights * side * side,
            )
        )
        side //= 2
        shape = f"{side}x{side}x{channels}"
        layers.append(Layer(f"pool{number}", convolved, "2x2/2", shape))
    for number, (values, out) in enumerate(_connections(bank, net), 1):
        name = f"{out}d-fc{number}"
        layers.append(Layer(name, shape, "-", str(out), values * out, out, values * out))
        shape = str(out)
    return layers


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


def profile_tables(cascade: Cascade) -> list[Table]:
    """Tabulate a cascade's costs: nets of one build and the total, then the layers of each build.

    Args:
        cascade: Of any stages.

    Returns:
        First the costs, then one table a build in the columns of the paper's Table 2.
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
    return tables + [_layer_table(_names(names), layers) for layers, names in builds.items()]


def _nets(cascade: Cascade) -> dict[str, tuple[str, list[Layer]]]:
    """Name of each net -> its stage and layers."""
    nets = {}
    for stage_name, module in cascade.stages.items():
        stage = cast("Stage", module)
        for number, name in enumerate(cast("Sequence[str]", stage.names)):
            nets[name] = (stage_name, net_layers(stage.bank, number))
    return nets


def _connections(bank: NetBank, net: int) -> list[tuple[int, int]]:
    """(inputs, outputs) of the two fully connected layers of a net."""
    _, hidden, features = bank.fc1_weight.shape
    return [(features, hidden), (hidden, bank.outputs[net])]


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
