"""CARN: its published size, how its cascades are wired, how far it sees."""

import pytest
import torch
from torch import Tensor, nn

from facegeo.normals.baselines import CARN, Cascading, ResidualBlock


def size(model: nn.Module) -> int:
    return sum(p.numel() for p in model.parameters())


def conv(channels: int, out: int, kernel: int) -> int:
    """Parameters of a convolution with biases."""
    return (channels * kernel**2 + 1) * out


BLOCK = 6 * conv(64, 64, 3) + sum(conv(64 * n, 64, 1) for n in (2, 3, 4))
BODY = 3 * BLOCK + sum(conv(64 * n, 64, 1) for n in (2, 3, 4))


def test_sizes() -> None:
    assert size(CARN()) == conv(3, 64, 3) + BODY + conv(64, 3, 3) == 816_451
    doubling = conv(64, 256, 3)
    assert size(CARN(2)) == conv(12, 64, 3) + BODY + doubling + conv(64, 3, 3)
    assert size(CARN(4)) == conv(48, 64, 3) + BODY + 2 * doubling + conv(64, 3, 3)


def test_with_the_upsampling_it_is_as_large_as_published() -> None:
    upsampling = conv(64, 4 * 64, 3) + conv(64, 9 * 64, 3) + 2 * conv(64, 4 * 64, 3)
    assert round((size(CARN()) + upsampling) / 1000) == 1592  # their Table 2, in thousands


class Twice(nn.Module):
    """Doubles what it gets."""

    def __init__(self, width: int) -> None:
        super().__init__()

    def forward(self, x: Tensor) -> Tensor:
        return 2 * x


def test_a_cascade_sees_all_that_was_found_so_far() -> None:
    cascade = Cascading(1, Twice)
    for fusion in cascade.fusions:
        nn.init.ones_(fusion.weight)  # so that it adds up
        nn.init.zeros_(fusion.bias)
    # 1; 1 + 2 = 3; 1 + 2 + 2 * 3 = 9; 1 + 2 + 6 + 2 * 9 = 27
    assert torch.equal(cascade(torch.ones(1, 1, 1, 1)), torch.full((1, 1, 1, 1), 27.0))


def test_a_residual_block_keeps_its_input_beside_what_it_finds() -> None:
    block = ResidualBlock(1)
    nn.init.zeros_(block.conv2.weight)
    nn.init.constant_(block.conv2.bias, 1.0)
    x = torch.tensor([-3.0, 0.5])[None, None, None]
    assert torch.equal(block(x), torch.tensor([0.0, 1.5])[None, None, None])


@pytest.mark.parametrize(("scale", "pixels"), [(1, 41), (2, 84), (4, 168)])
def test_how_far_it_sees(scale: int, pixels: int) -> None:
    # 20 convolutions of 3x3 by 1 px. With scale 2: columns 99..101 are 49..50 of half the side,
    # from there 20 on either side, 42 of 2 px. With 4: 49..50, then 48..51, which are 24..25 of a
    # quarter, from there 20 on either side, 42 of 4 px.
    model = CARN(scale, width=1).double()
    for parameter in model.parameters():
        nn.init.constant_(parameter, 0.1)  # no ReLU closes, no two ways cancel
    found: list[Tensor] = []
    model.exit.register_forward_hook(lambda *seen: found.append(seen[2]))
    image = torch.rand(1, 3, 200, 200, dtype=torch.double, requires_grad=True)
    model(image)
    found[0][0, :, 100, 100].sum().backward()
    assert image.grad is not None
    columns = image.grad.abs().sum(dim=(0, 1, 2)).nonzero().flatten()
    assert int(columns.max() - columns.min()) + 1 == pixels


def test_an_unknown_scale_is_refused() -> None:
    with pytest.raises(ValueError, match="scale must be 1, 2 or 4, got 3"):
        CARN(3)
