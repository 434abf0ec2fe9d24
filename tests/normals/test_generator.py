"""The cascade: sizes, what is shared, what flows where, and what is refused."""

from typing import Any

import pytest
import torch
from torch import Tensor

from facegeo.normals.generator import CAT, FMM, AdaIN, CasFNE, MakeFusion

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


def test_impossible_options_are_refused() -> None:
    with pytest.raises(ValueError, match="t must be at least 0, got -2"):
        CasFNE(-2)
    with pytest.raises(ValueError, match="head_kernel must be 1 or 3, got 2"):
        CasFNE(2, head_kernel=2)
