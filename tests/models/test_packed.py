"""Packed convolutions give what the others give; where they cannot be packed, nothing changes."""

import pytest
import torch
from torch import nn

from facegeo.models import packed as module
from facegeo.models.casfne.fusion import FMM
from facegeo.models.packed import PackedConv, PackedTransposedConv, can_pack, packed

NETWORK = nn.Sequential(
    nn.Conv2d(3, 8, 3, 2, 1),
    nn.Sequential(nn.ReLU(), nn.Conv2d(8, 8, (3, 1), groups=2, dilation=2, bias=False)),
    nn.ConvTranspose2d(8, 6, 3, (2, 3), 1, output_padding=(1, 0)),
    nn.Conv2d(6, 4, 3, padding=1, padding_mode="reflect"),
).requires_grad_(False)
needs_packing = pytest.mark.skipif(not can_pack(), reason="this PyTorch has no oneDNN")


@needs_packing
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_outputs_are_equal(layout: torch.memory_format) -> None:
    fast = packed(NETWORK)
    for size in (19, 32):
        image = torch.rand(2, 3, size, size).contiguous(memory_format=layout)
        torch.testing.assert_close(fast(image), NETWORK(image))


@needs_packing
def test_a_fusion_that_reads_its_weights_still_can() -> None:
    fusion = FMM(4, 6).requires_grad_(False)
    features = torch.rand(2, 4, 8, 8), torch.rand(2, 6, 8, 8)
    torch.testing.assert_close(packed(nn.Sequential(fusion))[0](*features), fusion(*features))


@needs_packing
def test_packs_every_convolution_padded_by_zeros_of_a_copy() -> None:
    kinds = [type(layer) for layer in packed(NETWORK).modules()]
    assert kinds.count(PackedConv) == 2
    assert kinds.count(PackedTransposedConv) == 1
    assert kinds.count(nn.Conv2d) == 1
    assert type(NETWORK[0]) is nn.Conv2d


def test_where_it_cannot_nothing_is_packed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "OPERATORS", ("gone_from_torch",))
    assert not can_pack()
    assert [type(a) for a in packed(NETWORK).modules()] == [type(b) for b in NETWORK.modules()]
