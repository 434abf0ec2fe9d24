"""Fusions: AdaIN by its statistics, FMM against weights modulated one image at a time."""

import pytest
import torch
import torch.nn.functional as F  # noqa: N812  torch's own habit

from facegeo.normals.generator import CAT, FMM, AdaIN, CasFNE

torch.manual_seed(0)
NORMAL, STRUCTURE = torch.randn(2, 8, 5, 7) * 3 + 1, torch.rand(2, 8, 5, 7)


def test_cat_leaves_the_structure_as_it_is() -> None:
    assert CAT(8, 8)(NORMAL, STRUCTURE) is STRUCTURE


def test_adain_moves_statistics_and_keeps_the_pattern() -> None:
    made = AdaIN(8, 8)(NORMAL, STRUCTURE)
    for statistic in (torch.mean, torch.std):
        wanted = statistic(NORMAL, dim=(2, 3))
        torch.testing.assert_close(statistic(made, dim=(2, 3)), wanted, rtol=1e-3, atol=1e-3)
    pairs = torch.stack([made.flatten(2), STRUCTURE.flatten(2)], 2).flatten(0, 1)
    assert all(torch.corrcoef(pair)[0, 1] > 0.9999 for pair in pairs)


def test_adain_leaves_other_numbers_of_channels_and_constants_alone() -> None:
    assert AdaIN(8, 16)(NORMAL, STRUCTURE) is STRUCTURE
    assert AdaIN(8, 8)(NORMAL, torch.ones(2, 8, 5, 7)).isfinite().all()


def test_fmm_is_style_gan_2s_modulated_convolution() -> None:
    torch.manual_seed(0)
    fusion = FMM(8, 6)
    structure = torch.rand(2, 6, 5, 7)
    with torch.no_grad():
        made = fusion(NORMAL, structure)
        for normal, one, found in zip(NORMAL, structure, made, strict=True):
            style = F.linear(normal.mean(dim=(1, 2)), fusion.style.weight, fusion.style.bias)
            weight = fusion.conv.weight * style[None, :, None, None]
            weight = weight / (weight.square().sum(dim=(1, 2, 3), keepdim=True) + 1e-5).sqrt()
            wanted = F.conv2d(one[None], weight, padding=1)[0]
            torch.testing.assert_close(found, wanted, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("fusion", [AdaIN(8, 8), FMM(8, 8)], ids=["adain", "fmm"])
def test_normals_change_the_structure(fusion: torch.nn.Module) -> None:
    normal = NORMAL.clone().requires_grad_()
    fusion(normal, STRUCTURE).square().sum().backward()
    assert normal.grad.abs().max() > 0


def test_sizes_of_the_cascade() -> None:
    sizes = [sum(p.numel() for p in CasFNE(1, f).parameters()) for f in (CAT, AdaIN, FMM)]
    assert sizes == [18_102_758, 18_102_758, 21_495_270]
