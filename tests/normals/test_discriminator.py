"""The discriminator: size, keys, one answer a patch."""

import pytest
import torch

from facegeo.normals.generator import PatchDiscriminator


def test_size_and_keys_are_the_published_ones() -> None:
    model = PatchDiscriminator()
    assert sum(p.numel() for p in model.parameters()) == 1_559_169
    kinds = ("weight", "bias")
    assert set(model.state_dict()) == {f"model.{i}.{k}" for i in (0, 2, 5, 8, 12) for k in kinds}


@pytest.mark.parametrize("side", [64, 256])
def test_output_has_one_logit_for_16_x_16_pixels(side: int) -> None:
    with torch.no_grad():
        logits = PatchDiscriminator()(torch.randn(1, 3, side, side))
    assert logits.shape == (1, 1, side // 16, side // 16)
    assert logits.min() < 0 or logits.max() > 1  # logits, not probabilities


def test_logits_depend_only_on_their_receptive_field() -> None:
    torch.manual_seed(0)
    model = PatchDiscriminator()
    for module in model.modules():
        if isinstance(module, torch.nn.InstanceNorm2d):
            module.forward = lambda x: x  # it alone sees the whole map
    normals = torch.zeros(1, 3, 256, 256, requires_grad=True)
    model(normals)[0, 0, 0, 0].backward()
    seen = normals.grad[0].abs().amax(dim=0).nonzero()
    assert 0 < seen.max() < 128


def test_another_shape_is_refused() -> None:
    with pytest.raises(ValueError, match=r"normals must have shape \(B, 3, H, W\), got \(1, 1, 6"):
        PatchDiscriminator()(torch.zeros(1, 1, 64, 64))
