"""The cascade: sizes, what is shared, what flows where, and what is refused."""

from itertools import pairwise
from typing import Any

import pytest
import torch
from torch import Tensor

from facegeo.geometry.normals import angle_map
from facegeo.normals.generator import (
    CAT,
    FMM,
    AdaIN,
    CascadedBlock,
    CasFNE,
    Features,
    MakeFusion,
    to_normals,
)
from facegeo.training.resnet import CHANNELS

FUSIONS = pytest.mark.parametrize("fusion", [CAT, AdaIN, FMM])


def size(model: torch.nn.Module) -> int:
    return sum(p.numel() for p in model.parameters())


@pytest.fixture(scope="module")
def model() -> CasFNE:
    """Two refinements, eval mode."""
    torch.manual_seed(0)
    return CasFNE(2).eval()


@pytest.fixture
def image() -> Tensor:
    torch.manual_seed(1)
    return torch.rand(2, 3, 64, 32)


def test_sizes_are_the_papers() -> None:
    assert [size(CasFNE(t)) for t in (0, 1, 5)] == [11_767_683, 18_102_758, 18_102_758]
    assert size(CasFNE(0, head_kernel=1)) == 11_767_683 - 32 * 3 * (9 - 1)


def test_unit_normals_of_every_stage_first_to_last(model: CasFNE, image: Tensor) -> None:
    with torch.no_grad():
        stages, deeper = model(image), model(image, 5)
        initial = model(image, 0)
    assert (len(initial), len(stages), len(deeper)) == (1, 3, 6)
    for stage in deeper:
        assert stage.shape == image.shape
        torch.testing.assert_close(stage.norm(dim=1), torch.ones(2, 64, 32))
    assert all(torch.equal(a, b) for a, b in zip(stages, deeper, strict=False))
    assert torch.equal(initial[0], stages[0])
    assert not torch.allclose(stages[0], stages[1], atol=0.1)


def test_the_image_is_encoded_once(model: CasFNE, image: Tensor) -> None:
    calls: list[Any] = []
    hook = model.encoder.register_forward_hook(lambda *seen: calls.append(1))
    with torch.no_grad():
        model(image, 5)
    hook.remove()
    assert len(calls) == 1


@FUSIONS
def test_every_weight_gets_a_gradient_from_the_last_stage_only(
    fusion: MakeFusion, image: Tensor
) -> None:
    torch.manual_seed(0)
    model = CasFNE(2, fusion)
    last = model(image)[-1]
    (last * torch.randn_like(last)).sum().backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
    # Not only through the features of the image: through the normals of the stages before.
    assert model.initial.head.weight.grad.abs().max() > 0


def test_a_zero_vector_stays_zero_and_harms_no_gradient(image: Tensor) -> None:
    model = CasFNE(0)
    torch.nn.init.zeros_(model.initial.head.weight)
    torch.nn.init.zeros_(model.initial.head.bias)
    (normals,) = model(image)
    assert torch.equal(normals, torch.zeros_like(image))
    normals.sum().backward()
    assert all(p.grad.isfinite().all() for p in model.parameters() if p.grad is not None)


@FUSIONS
def test_halves_give_whole_normals(fusion: MakeFusion, image: Tensor) -> None:
    torch.manual_seed(0)
    model = CasFNE(1, fusion).eval()
    with torch.no_grad():
        wanted = model(image)[-1]
        with torch.autocast("cpu", torch.bfloat16):
            found = model(image)[-1]
    assert found.dtype == torch.float32
    torch.testing.assert_close(found.norm(dim=1), torch.ones(2, 64, 32))
    assert (found - wanted).abs().mean() < 0.05


def test_options_reach_their_parts() -> None:
    model = CasFNE(1, head_kernel=1, imagenet_norm=True)
    assert isinstance(model.initial.head, torch.nn.Conv2d)
    assert model.initial.head.kernel_size == (1, 1)
    assert model.encoder.imagenet_norm


@pytest.mark.parametrize(
    ("built", "called", "message"),
    [
        (2, -1, r"t must be at least 0, got -1$"),
        (0, 1, r"t must be at least 0, got 1; built with t=0 it has no cascaded block"),
    ],
)
def test_an_impossible_t_is_refused(built: int, called: int, message: str, image: Tensor) -> None:
    with pytest.raises(ValueError, match=message):
        CasFNE(built)(image, called)


def image_features(side: int = 64) -> Features:
    """Structure of two images, finest first, never below zero."""
    random = torch.Generator().manual_seed(2)
    sides = [side // 2**i for i in range(1, 6)]
    pairs = zip(CHANNELS, sides, strict=True)
    return tuple(torch.rand(2, c, s, s, generator=random) for c, s in pairs)


def changed_by_normals(model: CasFNE) -> float:
    """Mean angle between refinements of noise and of flat normals, degrees."""
    image = torch.rand(2, 3, 64, 64, generator=torch.manual_seed(1))
    flat = torch.zeros_like(image)
    flat[:, 2] = 1
    with torch.no_grad():
        found = [model.eval().refine(image, normals) for normals in (flat, to_normals(image - 0.5))]
    return float(angle_map(*found).mean())


def test_a_larger_gain_makes_the_block_look_at_its_normals() -> None:
    def built(gain: float | None) -> float:
        torch.manual_seed(0)
        model = CasFNE(1, normals_gain=gain).train()
        with torch.no_grad():
            for _ in range(20):  # the statistics of the norms
                model(torch.rand(4, 3, 64, 64))
        return changed_by_normals(model)

    nothing, one, four = map(built, (None, 1.0, 4.0))
    assert nothing < one < four


def test_normals_reach_every_scale_only_if_asked() -> None:
    coarse, every = (CasFNE(1, every_scale=choice).block for choice in (False, True))
    assert isinstance(coarse, CascadedBlock)
    assert isinstance(every, CascadedBlock)
    more = [
        b.in_channels - a.in_channels
        for a, b in zip(coarse.decoder.deconvs, every.decoder.deconvs, strict=True)
    ]
    assert more == [0, 256, 128, 64, 32]


def test_structure_is_hidden_from_the_block_in_training_only() -> None:
    torch.manual_seed(0)
    block = CascadedBlock(CAT, structure_dropout=0.5)
    seen: list[Features] = []
    block.decoder.register_forward_pre_hook(lambda _, args: seen.append(args[1]))
    structure, normals = image_features(), to_normals(torch.randn(2, 3, 64, 64))
    for _ in range(40):
        block(normals, structure)
    block.eval()(normals, structure)
    *trained, measured = seen
    assert measured is structure
    kept = [
        float(ratio)
        for features in trained
        for scale, whole in zip(features, structure, strict=True)
        for ratio in scale.sum(dim=(1, 2, 3)) / whole.sum(dim=(1, 2, 3))
    ]
    assert {round(ratio, 3) for ratio in kept} == {0, 2}  # twice: the mean stays
    assert 0.4 < sum(ratio > 1 for ratio in kept) / len(kept) < 0.6


def test_detached_refinements_send_no_gradient_to_the_normals_before(image: Tensor) -> None:
    torch.manual_seed(0)
    model = CasFNE(2, detach=True)
    last = model(image)[-1]
    (last * torch.randn_like(last)).sum().backward()
    assert model.initial.head.weight.grad is None
    assert model.encoder.conv1.weight.grad.abs().max() > 0


def test_a_residual_block_that_says_nothing_changes_nothing(image: Tensor) -> None:
    model = CasFNE(2, residual=True).eval()
    assert isinstance(model.block, CascadedBlock)
    head = model.block.decoder.deconvs[-1]
    assert torch.equal(head.bias, torch.zeros(3))  # not facing the camera
    torch.nn.init.zeros_(head.weight)
    with torch.no_grad():
        first, *others = model(image)
    for other in others:
        torch.testing.assert_close(other, first)


def test_given_normals_are_refined_in_place_of_the_first(model: CasFNE, image: Tensor) -> None:
    with torch.no_grad():
        stages = model(image)
        for before, after in pairwise(stages):
            torch.testing.assert_close(model.refine(image, before), after)
        assert not torch.equal(model.refine(image, -stages[0]), stages[1])
    with pytest.raises(ValueError, match="built with t=0: it has no cascaded block"):
        CasFNE(0).refine(image, image)


def test_impossible_options_are_refused() -> None:
    for dropout in (-0.1, 1.0):
        with pytest.raises(
            ValueError, match=rf"structure_dropout must be in \[0, 1\), got {dropout}"
        ):
            CasFNE(1, structure_dropout=dropout)
    with pytest.raises(ValueError, match="normals_gain must be above 0, got -1"):
        CasFNE(1, normals_gain=-1)
    with pytest.raises(ValueError, match="t must be at least 0, got -2"):
        CasFNE(-2)
    with pytest.raises(ValueError, match="head_kernel must be 1 or 3, got 2"):
        CasFNE(2, head_kernel=2)
