"""Parameters and multiplications of cascades, layer by layer.

Counted from the shapes of the weights, exactly; CCNN, Table 2 and Table 3 are regenerated.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import asdict, dataclass

import torch
from torch import Tensor, nn

from facegeo.files.tables import Cell, Table
from facegeo.landmarks.nets import Cascade, NetBank


@dataclass(frozen=True)
class Layer:
    """One line of the paper's Table 2.

    Attributes:
        name: As the paper has it: conv1, pool1, ..., 120d-fc1, 10d-fc2.
        input: Shape that comes in, height x width x channels, or a number of values.
        kernel: Kernel side x side x output channels / step; "-" for a fully connected layer.
        output: Shape that goes out, written like ``input``.
        weights: Number of weights, biases left out.
        biases: Number of biases, and of scales and shifts of norms.
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
    _, hidden, features = bank.fc1_weight.shape
    for number, (values, out) in enumerate([(features, hidden), (hidden, bank.outputs[net])], 1):
        name = f"{out}d-fc{number}"
        layers.append(Layer(name, shape, "-", str(out), values * out, out, values * out))
        shape = str(out)
    return layers


def module_layers(net: nn.Module, channels: int, side: int) -> list[Layer]:
    """List the layers of any net, first to last; nothing is computed.

    A layer is what the first two parts of a weight's name say: ``encoder.layer1``, ``convs.0``.

    Args:
        net: Maps (B, channels, side, side) to (B, N); left as it is.
        channels: Of a crop.
        side: Of a crop, px.
    """
    shapes = deepcopy(net).eval().to("meta")
    sizes: dict[nn.Module, tuple[str, str]] = {}
    macs: dict[nn.Module, int] = {}

    def note(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        if isinstance(output, Tensor):  # a whole encoder gives several
            sizes[module] = (_size(inputs[0]), _size(output))
        if isinstance(module, nn.Conv2d | nn.Linear):
            macs[module] = output.numel() * module.weight[0].numel()

    for module in shapes.modules():
        module.register_forward_hook(note)
    shapes(torch.empty(1, channels, side, side, device="meta"))
    layers = []
    names = [".".join(name.split(".")[:-1][:2]) for name, _ in shapes.named_parameters()]
    for name in dict.fromkeys(names):
        module = shapes.get_submodule(name)
        weights = sum(p.numel() for p in module.parameters() if p.dim() > 1)
        biases = sum(p.numel() for p in module.parameters() if p.dim() == 1)
        count = sum(macs.get(part, 0) for part in module.modules())
        layers.append(
            Layer(
                name, sizes[module][0], _kernels(module), sizes[module][1], weights, biases, count
            )
        )
    return layers


def _size(values: Tensor) -> str:
    """Height x width x channels of (1, C, H, W), the number of values of (1, N)."""
    return "x".join(str(side) for side in (*values.shape[2:], values.shape[1]))


def _kernels(module: nn.Module) -> str:
    convs = [part for part in module.modules() if isinstance(part, nn.Conv2d)]
    kinds = {
        f"{conv.kernel_size[0]}x{conv.kernel_size[1]}x{conv.out_channels}/{conv.stride[0]}"
        for conv in convs
    }
    if len(kinds) > 1:
        return f"{len(convs)} convolutions"
    return f"{len(convs)} of {kinds.pop()}" if len(convs) > 1 else "".join(kinds) or "-"


MIB = 2**20
NOTE = (
    "A row has the figures of one such net. weights: without biases, as the paper counts; "
    "parameters: with them. MACs: multiplications "
    "with a weight for one face, cutting out windows not counted; twice that in FLOPs. "
    "MB: 4 bytes a weight / 2^20, as the paper prints."
)
TABLE3_NOTE = (
    "MB: 4 bytes each / 2^20. As printed: CCNN counts only weights, the ResNets are those with "
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


def cascade_costs(cascade: Cascade) -> dict[str, dict[str, int]]:
    """Parameters and multiplications of all nets up to each stage: ``stage1``, ``stage2``, ..."""
    costs: dict[str, dict[str, int]] = {}
    layers: list[Layer] = []
    for number, stage in enumerate(cascade.stages, 1):
        for own, net in _nets(cascade).values():
            layers += net if own == stage else []
        total = _costs(layers)
        costs[f"stage{number}"] = {name: int(total[name]) for name in ("parameters", "macs")}
    return costs


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
    heads = ("net", "number", "weights", "parameters", "MACs", "MB")
    tables = [Table("Cost of the cascade for one face", heads, tuple(rows), NOTE)]
    if printed is not None:
        total = _costs(everything)
        sizes: list[tuple[Cell, ...]] = [
            ("counted: weights", 4 * total["weights"] / MIB, None),
            ("counted: all parameters", 4 * total["parameters"] / MIB, None),
        ]
        for name, cell in printed.items():
            sizes.append((f"printed: {name}", cell.get("size_mb"), cell.get("time_ms")))
        title = "Size beside the paper's Table 3"
        tables.append(Table(title, ("", "MB", "ms"), tuple(sizes), TABLE3_NOTE))
    columns = ("name", "input", "kernel/step", "output", "weights", "biases", "MACs")
    for build, names in builds.items():
        lines: list[tuple[Cell, ...]] = []
        for one in build:
            counts = (one.weights or None, one.biases or None, one.macs or None)
            lines.append((one.name, one.input, one.kernel, one.output, *counts))
        tables.append(Table(f"Layers of {_names(names)}", columns, tuple(lines)))
    return tables


def _nets(cascade: Cascade) -> dict[str, tuple[str, list[Layer]]]:
    """Name of each net -> its stage and layers."""
    nets = {}
    for stage_name, stage in cascade.by_name().items():
        channels = 1 if stage.colour == "grey" else 3
        for number, name in enumerate(stage.names):
            if isinstance(stage.bank, NetBank):
                layers = net_layers(stage.bank, number)
            else:
                layers = module_layers(stage.bank.nets[number], channels, stage.input_size)
            nets[name] = (stage_name, layers)
    return nets


def _costs(layers: Sequence[Layer]) -> dict[str, int | float]:
    weights = sum(layer.weights for layer in layers)
    return {
        "weights": weights,
        "parameters": weights + sum(layer.biases for layer in layers),
        "macs": sum(layer.macs for layer in layers),
        "size_mb": round(4 * weights / MIB, 4),
    }


def _names(names: Sequence[str]) -> str:
    return ", ".join(names) if len(names) < 4 else f"{names[0]}, {names[1]} ... {names[-1]}"
