import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from pydantic import ValidationError
from torch import Tensor, nn

from facegeo.landmarks.nets import NetBank

STAGE1: dict[str, Any] = {"input_size": 39, "channels": [20, 40, 60], "kernels": [4, 3, 3]}
STAGE2: dict[str, Any] = {"input_size": 15, "channels": [20, 40], "kernels": [4, 3], "hidden": 60}
SMALL: dict[str, Any] = {"input_size": 15, "channels": [3, 4], "kernels": [4, 3], "hidden": 5}
MakeOptimizer = Callable[..., torch.optim.Optimizer]


def bank(outputs: tuple[int, ...] = (4, 2, 2), seed: int = 0, **changes: Any) -> NetBank:
    torch.manual_seed(seed)
    return NetBank(outputs, **(SMALL | changes))


def crops(batch: int, nets: int = 3, side: int = 15, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(batch, nets, 3, side, side, generator=generator)


def plain_net(stacked: NetBank, net: int) -> nn.Sequential:
    """One net of a bank as layers of torch, ReLU before pooling as the paper has it."""
    layers: list[nn.Module] = []
    for weights, biases in zip(stacked.conv_weights, stacked.conv_biases, strict=True):
        conv = nn.Conv2d(weights.shape[2], weights.shape[1], weights.shape[3])
        conv.weight.data, conv.bias.data = weights.data[net], biases.data[net]
        layers += [conv, nn.ReLU(), nn.MaxPool2d(2)]
    hidden = nn.Linear(stacked.fc1_weight.shape[2], stacked.fc1_weight.shape[1])
    hidden.weight.data, hidden.bias.data = stacked.fc1_weight.data[net], stacked.fc1_bias.data[net]
    weights = stacked.fc2_weight.data.split(stacked.outputs)[net]
    out = nn.Linear(weights.shape[1], weights.shape[0])
    out.weight.data = weights
    out.bias.data = stacked.fc2_bias.data.split(stacked.outputs)[net]
    return nn.Sequential(*layers, nn.Flatten(), hidden, nn.ReLU(), out)


@pytest.mark.parametrize("batch", [1, 40], ids=["grouped", "looped"])
def test_every_net_equals_torchs_layers(batch: int) -> None:
    nets = bank()
    for biases in (*nets.conv_biases, nets.fc1_bias, nets.fc2_bias):
        nn.init.normal_(biases.data)
    x = crops(batch)
    got = nets(x).split(nets.outputs, dim=1)
    for net in range(3):
        torch.testing.assert_close(got[net], plain_net(nets, net)(x[:, net]))


@pytest.mark.parametrize("batch", [1, 40])
def test_loop_and_grouped_convolution_agree_gradients_too(
    batch: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    results = []
    for loops in (True, False):
        nets = bank()
        monkeypatch.setattr(nets, "_loops", lambda _crops, loops=loops: loops)
        x = crops(batch).requires_grad_()
        out = nets(x)
        out.square().sum().backward()
        results.append([out, x.grad, *(weight.grad for weight in nets.parameters())])
    for looped, grouped in zip(*results, strict=True):
        # sums of up to 3,000 products in another order
        atol = 1e-5 * float(grouped.detach().abs().max())
        torch.testing.assert_close(looped, grouped, rtol=1e-4, atol=atol)


@pytest.mark.parametrize("side", [15, 16], ids=["even maps", "odd maps"])
def test_outputs_without_gradients_are_the_same_to_the_bit(side: int) -> None:
    stacked = bank(input_size=side).eval()
    with_gradients = stacked(crops(40, side=side))
    with torch.no_grad():
        assert torch.equal(stacked(crops(40, side=side)), with_gradients)


def test_few_pixels_are_grouped_and_many_looped() -> None:
    assert not bank()._loops(torch.zeros(3, 10, 3, 15, 15))  # three faces in stage 2
    assert bank()._loops(torch.zeros(4, 10, 3, 15, 15))
    assert bank()._loops(torch.zeros(1, 3, 3, 39, 39))  # one face in stage 1


def test_xavier_bounds_hold_for_each_net_and_biases_start_at_zero() -> None:
    nets = NetBank((10, 6, 6), **STAGE1, hidden=120)
    fans = [(3 * 16, 20 * 16), (20 * 9, 40 * 9), (40 * 9, 60 * 9), (540, 120)]
    stacked = [*nets.conv_weights, nets.fc1_weight]
    singles = [(w[net], fan) for w, fan in zip(stacked, fans, strict=True) for net in range(3)]
    rows = nets.fc2_weight.split(nets.outputs)
    singles += [(rows[net], (120, (10, 6, 6)[net])) for net in range(3)]
    for weight, (fan_in, fan_out) in singles:
        bound = math.sqrt(6 / (fan_in + fan_out))
        # of 720 or more uniform draws the largest is within 2 % of the bound
        assert 0.98 * bound < weight.abs().max() <= bound
    assert not any(tensor.any() for name, tensor in nets.named_parameters() if "bias" in name)


def test_nets_start_different() -> None:
    first, second, third = bank().fc1_weight
    assert not torch.isclose(first, second).any()
    assert not torch.isclose(second, third).any()


def _take(nets: NetBank, net: int) -> NetBank:
    """A bank of one net, with that net's weights."""
    alone = bank((nets.outputs[net],), dropout=nets.dropout)
    start = sum(nets.outputs[:net])
    rows = slice(start, start + nets.outputs[net])
    with torch.no_grad():
        for name, tensor in alone.named_parameters():
            whole = nets.get_parameter(name)
            tensor.copy_(whole[rows] if "fc2" in name else whole[net : net + 1])
    return alone


@pytest.mark.parametrize(
    ("optimizer", "options"),
    [
        (torch.optim.SGD, {"lr": 0.05, "momentum": 0.9, "weight_decay": 5e-3}),
        (torch.optim.Adam, {"lr": 0.01, "weight_decay": 5e-3}),
    ],
    ids=["sgd", "adam"],
)
@pytest.mark.parametrize("batch", [4, 32], ids=["grouped", "looped"])
def test_joint_and_separate_training_agree(
    optimizer: MakeOptimizer,
    options: dict[str, float],
    batch: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    masks = (torch.rand(6, batch, 3, 5, generator=torch.Generator().manual_seed(1)) > 0.25) / 0.75
    data = [crops(batch, seed=step) for step in range(6)]
    answers = torch.randn(6, batch, 8, generator=torch.Generator().manual_seed(2))

    def train(nets: NetBank, which: slice, columns: slice) -> NetBank:
        optimize = optimizer(nets.parameters(), **options)
        for step in range(6):
            monkeypatch.setattr(F, "dropout", lambda x, p, on, s=step: x * masks[s][:, which])
            error = nets(data[step][:, which]) - answers[step][:, columns]
            optimize.zero_grad()
            error.square().sum(dim=1).mean().backward()
            optimize.step()
        return nets

    start = bank(dropout=0.25)
    alone = [_take(start, net) for net in range(3)]
    first = [weight.clone() for weight in start.parameters()]
    together = train(start, slice(None), slice(None))
    assert all((a - b).abs().max() > 1e-3 for a, b in zip(first, start.parameters(), strict=True))
    columns = (slice(0, 4), slice(4, 6), slice(6, 8))
    for net in range(3):
        train(alone[net], slice(net, net + 1), columns[net])
        wanted = _take(together, net)
        for name, tensor in alone[net].named_parameters():
            # Adam divides by the root of tiny squares: rounding grows to some 1e-5
            torch.testing.assert_close(tensor, wanted.get_parameter(name), rtol=1e-3, atol=5e-5)


def test_dropout_zeroes_hidden_units_only_in_training() -> None:
    nets, x = bank(dropout=0.5), crops(1).expand(400, -1, -1, -1, -1)
    torch.manual_seed(0)
    assert nets(x).std(dim=0).min() > 0.01
    torch.testing.assert_close(nets.eval()(x), nets(x[:1]).expand(400, -1))


def test_gradients_reach_every_weight() -> None:
    nets = bank()
    nets(crops(32)).square().sum().backward()
    assert all(weight.grad is not None and weight.grad.any() for weight in nets.parameters())


def test_input_that_is_too_small_is_refused() -> None:
    with pytest.raises(ValueError, match=r"input_size 6 px is too small for kernels \[4, 3\]"):
        bank(input_size=6)


@pytest.mark.parametrize(
    ("changes", "message"),
    [({"hidden": -3}, "hidden"), ({"channels": [0]}, "channels"), ({"foo": 1}, "foo")],
)
def test_nets_refuse_impossible_settings(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        bank((10,), **changes)
