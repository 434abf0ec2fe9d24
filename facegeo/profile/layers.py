"""Layers of one net of a cascade, with what each costs, counted from shapes."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn

from facegeo.models.net_bank import NetBank


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
    for number, (values, out) in enumerate(_connections(bank, net), 1):
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
    owners = [name.rpartition(".")[0] for name, _ in shapes.named_parameters()]
    macs = dict.fromkeys((_layer_name(owner) for owner in owners), 0)
    sizes: dict[str, tuple[str, str]] = {}
    for name in macs:
        shapes.get_submodule(name).register_forward_hook(partial(_note_size, sizes, name))
    for name, module in shapes.named_modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            module.register_forward_hook(partial(_note_macs, macs, _layer_name(name)))
    shapes(torch.empty(1, channels, side, side, device="meta"))
    layers = []
    for name, count in macs.items():
        module = shapes.get_submodule(name)
        numbers = [p.numel() for p in module.parameters() if p.dim() > 1]
        biases = sum(p.numel() for p in module.parameters() if p.dim() == 1)
        taken, given = sizes[name]
        layers.append(Layer(name, taken, _kernels(module), given, sum(numbers), biases, count))
    return layers


def _layer_name(module: str) -> str:
    return ".".join(module.split(".")[:2])


def _note_size(
    sizes: dict[str, tuple[str, str]],
    name: str,
    module: nn.Module,
    inputs: tuple[Tensor, ...],
    output: Tensor,
) -> None:
    sizes[name] = (_size(inputs[0]), _size(output))


def _note_macs(
    macs: dict[str, int],
    name: str,
    module: nn.Conv2d | nn.Linear,
    inputs: tuple[Tensor, ...],
    output: Tensor,
) -> None:
    macs[name] += output.numel() * module.weight[0].numel()


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


def _connections(bank: NetBank, net: int) -> list[tuple[int, int]]:
    """(inputs, outputs) of the two fully connected layers of a net."""
    _, hidden, features = bank.fc1_weight.shape
    return [(features, hidden), (hidden, bank.outputs[net])]
