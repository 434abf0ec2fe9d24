"""Restormer: its published size, attention over channels, gating, what is refused."""

from typing import Any

import pytest
import torch
from torch import nn

from facegeo.normals.baselines import (
    ChannelAttention,
    GatedFeedForward,
    PixelNorm,
    Restormer,
    TransformerBlock,
)


def size(model: nn.Module) -> int:
    return sum(p.numel() for p in model.parameters())


def test_size_is_the_published_one() -> None:
    assert size(Restormer()) == 26_126_644  # 26.13 M


def test_size_of_a_block() -> None:
    hidden = int(48 * 2.66)
    attention = 48 * 144 + 144 * 9 + 48 * 48 + 2
    feed_forward = 48 * 2 * hidden + 2 * hidden * 9 + hidden * 48
    assert size(TransformerBlock(48, 2, 2.66)) == 2 * 2 * 48 + attention + feed_forward


def test_channels_attend_to_the_channels_of_their_head() -> None:
    torch.manual_seed(0)
    attention = ChannelAttention(6, 2)
    nn.init.constant_(attention.temperature[0], 3.0)
    x = torch.randn(2, 6, 4, 5)
    with torch.no_grad():
        query, key, value = attention.mix(attention.project(x)).flatten(2).split(6, dim=1)
        mixed = torch.zeros(2, 6, 20)
        for image in range(2):
            for channel in range(6):
                head = channel // 3
                scale = 3.0 if head == 0 else 1.0
                others = range(3 * head, 3 * head + 3)
                cosines = [
                    torch.cosine_similarity(query[image, channel], key[image, other], dim=0)
                    for other in others
                ]
                weights = (scale * torch.stack(cosines)).exp()
                for weight, other in zip(weights / weights.sum(), others, strict=True):
                    mixed[image, channel] += weight * value[image, other]
        expected = attention.out(mixed.view(2, 6, 4, 5))
        torch.testing.assert_close(attention(x), expected)


def test_one_half_gates_the_other() -> None:
    torch.manual_seed(0)
    network = GatedFeedForward(4, 2.66)
    x = torch.randn(1, 4, 3, 3)
    with torch.no_grad():
        wide = network.mix(network.widen(x))
        assert wide.shape[1] == 20  # 2 * int(4 * 2.66)
        gate = wide[:, :10] * 0.5 * (1 + torch.erf(wide[:, :10] / 2**0.5))
        torch.testing.assert_close(network(x), network.out(gate * wide[:, 10:]))


def test_a_norm_is_of_each_pixels_channels() -> None:
    x = torch.tensor([[1.0, 5.0], [3.0, 5.0]]).view(1, 2, 1, 2)
    expected = torch.tensor([[-1.0, 0.0], [1.0, 0.0]]).view(1, 2, 1, 2)
    torch.testing.assert_close(PixelNorm(2)(x), expected, atol=1e-4, rtol=0)


def test_a_block_adds_to_what_it_gets() -> None:
    block = TransformerBlock(4, 1, 2.0)
    nn.init.zeros_(block.attention.out.weight)
    nn.init.zeros_(block.feed_forward.out.weight)
    x = torch.randn(1, 4, 3, 3)
    assert torch.equal(block(x), x)


@pytest.mark.parametrize("level", [0, 1, 2])
def test_features_of_a_level_reach_the_way_back_up(level: int) -> None:
    torch.manual_seed(0)
    model = Restormer(4, [1] * 4, [1] * 4, 1, 2.0)
    for parameter in model.downs[level].parameters():  # so that nothing goes further down
        nn.init.zeros_(parameter)
    (normals,) = model(torch.rand(1, 3, 16, 16))
    (normals * torch.randn_like(normals)).sum().backward()
    for parameter in model.encoders[level].parameters():
        assert parameter.grad is not None
        assert parameter.grad.abs().max() > 0


def test_the_photo_is_not_added_to_the_last_layer() -> None:
    model = Restormer(4, [1] * 4, [1] * 4, 1, 2.0)
    nn.init.zeros_(model.exit.weight)
    (normals,) = model(torch.rand(1, 3, 8, 8))
    assert torch.equal(normals, torch.zeros(1, 3, 8, 8))


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        ({"blocks": [1, 1, 1]}, r"blocks must have 4 numbers, a level each, got \[1, 1, 1\]"),
        ({"heads": [1] * 5}, r"heads must have 4 numbers, a level each, got \[1, 1, 1, 1, 1\]"),
        ({"dim": 7}, "dim must be even, got 7"),
        ({"heads": [1, 3, 4, 8]}, r"evenly, got \[1, 3, 4, 8\] for \[8, 16, 32, 64\] channels"),
    ],
)
def test_sizes_that_do_not_fit_are_refused(sizes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Restormer(**{"dim": 8, "blocks": [1] * 4} | sizes)
