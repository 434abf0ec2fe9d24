"""The inference form of the generator: equal outputs whatever the generator, less work."""

import copy

import pytest
import torch
from torch import Tensor, nn

from facegeo.normals.fast import FastCasFNE, fast_generator
from facegeo.normals.generator import CAT, FMM, AdaIN, CasFNE, MakeFusion
from facegeo.training.recorded import Recorded

CLOSE = {"rtol": 0.0, "atol": 1e-4}  # the goal; float32 of other sums gives 1e-5
FORMS = pytest.mark.parametrize("doubling", ["transposed", "quarters"])


def trained_looking(model: CasFNE) -> CasFNE:
    """Eval mode, batch norm far from fresh, and weights that let every layer reach the end.

    As they are drawn for a training, the normals of one stage hardly change those of the next.
    """
    for layer in model.modules():
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
            taps = layer.kernel_size[0] ** 2 / (layer.stride[0] ** 2 if layer.transposed else 1)
            nn.init.normal_(layer.weight, 0, (2 / (layer.in_channels * taps)) ** 0.5)
            if layer.bias is not None:
                nn.init.normal_(layer.bias, 0, 0.1)
    for norm in model.modules():
        if isinstance(norm, nn.BatchNorm2d) and norm.running_mean is not None:
            nn.init.normal_(norm.running_mean, 0, 0.3)
            nn.init.uniform_(norm.running_var, 0.5, 2)
            nn.init.uniform_(norm.weight, 0.5, 1.5)
            nn.init.normal_(norm.bias, 0, 0.3)
    return model.eval()


def images(batch: int = 1, height: int = 64, width: int = 32) -> Tensor:
    return torch.rand(batch, 3, height, width, generator=torch.manual_seed(1))


def make(t: int, fusion: MakeFusion = CAT, **choices: float) -> CasFNE:
    torch.manual_seed(0)
    return trained_looking(CasFNE(t, fusion, **choices))  # type: ignore[arg-type]


def assert_equal(model: CasFNE, fast: FastCasFNE, image: Tensor, t: int | None = None) -> None:
    with torch.inference_mode():
        want, got = model(image, t), fast(image, t)
    assert len(got) == len(want)
    for one, other in zip(got, want, strict=True):
        torch.testing.assert_close(one, other, **CLOSE)


@FORMS
@pytest.mark.parametrize("fusion", [CAT, AdaIN, FMM])
def test_every_t_of_every_fusion(fusion: MakeFusion, doubling: str) -> None:
    model = make(2, fusion)
    fast = fast_generator(model, doubling)
    assert_equal(model, fast, images())
    for t in (0, 1, 3, 4, 5):
        assert_equal(model, fast, images(), t)


@FORMS
@pytest.mark.parametrize("t", [0, 1])
def test_every_head_and_normalisation(t: int, doubling: str) -> None:
    for choices in ({"head_kernel": 1}, {"head_kernel": 3}, {"imagenet_norm": True}):
        model = make(t, **choices)
        assert_equal(model, fast_generator(model, doubling), images(2))


@FORMS
@pytest.mark.parametrize("fusion", [CAT, AdaIN])
@pytest.mark.parametrize(
    "choices",
    [
        {"normals_gain": 2.0},
        {"every_scale": True},
        {"residual": True},
        {"normals_gain": 1.0, "every_scale": True, "residual": True, "structure_dropout": 0.5},
    ],
)
def test_every_reading_of_the_block(
    choices: dict[str, float], fusion: MakeFusion, doubling: str
) -> None:
    model = make(2, fusion, **choices)
    fast = fast_generator(model, doubling)
    assert_equal(model, fast, images(2))
    with torch.inference_mode():
        found = fast.to(torch.bfloat16)(images(2))[-1]
        assert (found * model(images(2))[-1]).sum(dim=1).mean() > 0.98


@pytest.mark.parametrize("shape", [(1, 32, 32), (3, 64, 64), (5, 32, 96)])
def test_any_batch_and_size(shape: tuple[int, int, int]) -> None:
    model = make(2)
    assert_equal(model, fast_generator(model), images(*shape))


def test_later_training_does_not_change_the_fast_form() -> None:
    model = make(1)
    before = copy.deepcopy(model)
    fast = fast_generator(model)
    for parameter in model.parameters():
        nn.init.zeros_(parameter)
    assert_equal(before, fast, images())
    assert not fast.training
    assert not any(parameter.requires_grad for parameter in fast.parameters())


def test_an_image_is_left_as_it_was() -> None:
    image = images()
    before = image.clone()
    fast_generator(make(1))(image)
    assert torch.equal(image, before)


def test_features_of_the_photo_are_computed_once() -> None:
    fast = fast_generator(make(2))
    calls: list[str] = []
    for name, module in fast.named_modules():
        module.register_forward_hook(lambda *_, name=name: calls.append(name))
    with torch.inference_mode():
        fast(images(), 5)
    assert calls.count("encoder") == calls.count("block.levels.3.skip") == 1
    assert calls.count("block.levels.3.own") == 5
    calls.clear()
    with torch.inference_mode():
        fast(images(), 0)
    assert not [name for name in calls if name.startswith("block")]


def test_halves_stay_close() -> None:
    model = make(1)
    fast = fast_generator(model).to(torch.bfloat16)
    with torch.inference_mode():
        want, got = model(images(2)), fast(images(2))
    for one, other in zip(got, want, strict=True):
        assert one.dtype == torch.float32
        assert (one * other).sum(dim=1).mean() > 0.99


def test_refuses_what_the_generator_refuses() -> None:
    fast = fast_generator(make(0))
    with pytest.raises(ValueError, match="t must be at least 0, got 1; built with t=0"):
        fast(images(), 1)
    with pytest.raises(ValueError, match="t must be at least 0, got -1"):
        fast_generator(make(1))(images(), -1)
    with pytest.raises(ValueError, match="multiples of 32"):
        fast(torch.zeros(1, 3, 48, 32))
    with pytest.raises(ValueError, match="image must have shape"):
        fast(torch.zeros(1, 1, 32, 32))
    with pytest.raises(ValueError, match=r"one of \['quarters', 'transposed'\], got other"):
        fast_generator(make(0), "other")


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_recorded_on_a_gpu_it_is_equal() -> None:
    model = make(2)
    fast, image = Recorded(fast_generator(model).cuda()), images(2)
    with torch.inference_mode(), torch.backends.cudnn.flags(allow_tf32=False):
        want, got = model.double()(image.double()), fast(image.cuda())
    for one, other in zip(got, want, strict=True):
        torch.testing.assert_close(one.cpu(), other.float(), **CLOSE)


def test_a_zero_vector_stays_zero() -> None:
    model = make(0)
    for tensor in (model.initial.head.weight, model.initial.head.bias):
        assert tensor is not None
        nn.init.zeros_(tensor)
    (normals,) = fast_generator(model)(images())
    assert torch.equal(normals, torch.zeros_like(normals))
