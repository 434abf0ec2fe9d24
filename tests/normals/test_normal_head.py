"""Generators of one stage, each held to the same: what they give, refuse and keep in a file."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest
import torch
from hydra.utils import instantiate
from omegaconf import OmegaConf
from torch import Tensor, nn

from facegeo.files.shipped import conf_dir
from facegeo.normals.baselines import CARN, Restormer
from facegeo.normals.generator import CasFNE, to_normals
from facegeo.training.model_file import load_model, save_model

SMALL: dict[str, Any] = {"dim": 8, "blocks": [1, 2, 1, 1], "heads": [1, 2, 4, 8], "refinement": 1}
BUILD: dict[str, Callable[[], nn.Module]] = {
    "carn": lambda: CARN(width=8),
    "carn-2": lambda: CARN(2, width=8),
    "carn-4": lambda: CARN(4, width=8),
    "restormer": lambda: Restormer(**SMALL),
}


@pytest.fixture(params=BUILD)
def model(request: pytest.FixtureRequest) -> nn.Module:
    """One of the generators, small, eval mode."""
    torch.manual_seed(0)
    return BUILD[request.param]().eval()


@pytest.fixture
def image() -> Tensor:
    torch.manual_seed(1)
    return torch.rand(2, 3, 32, 16)


def test_one_map_of_unit_normals_in_the_images_size(model: nn.Module, image: Tensor) -> None:
    with torch.no_grad():
        stages = model(image)
        (asked,) = model(image, t=0)
    assert isinstance(stages, tuple)
    assert [stage.shape for stage in stages] == [image.shape]
    torch.testing.assert_close(stages[0].norm(dim=1), torch.ones(2, 32, 16))
    assert torch.equal(stages[0], asked)
    assert cast(int, model.t) == 0


def test_faces_of_a_batch_do_not_see_each_other(model: nn.Module, image: Tensor) -> None:
    model, image = model.double(), image.double()  # a short vector's direction magnifies rounding
    with torch.no_grad():
        (together,), (alone,) = model(image), model(image[1:])
    torch.testing.assert_close(together[1:], alone, atol=1e-6, rtol=0)


def test_every_weight_learns(model: nn.Module, image: Tensor) -> None:
    (normals,) = model(image)
    (normals * torch.randn_like(normals)).sum().backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
        assert parameter.grad.abs().max() > 0, name


def test_half_precision_ends_in_unit_float32(model: nn.Module, image: Tensor) -> None:
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        (normals,) = model(image)
    assert normals.dtype == torch.float32
    torch.testing.assert_close(normals.norm(dim=1), torch.ones(2, 32, 16))


@pytest.mark.parametrize("t", [-1, 1])
def test_refinements_are_refused(model: nn.Module, image: Tensor, t: int) -> None:
    with pytest.raises(ValueError, match=rf"t must be 0, got {t}: this generator has one stage"):
        model(image, t)


@pytest.mark.parametrize(
    ("build", "stride"), [("carn", 1), ("carn-2", 2), ("carn-4", 4), ("restormer", 8)]
)
def test_sides_that_do_not_divide_are_refused(build: str, stride: int) -> None:
    model = BUILD[build]()
    assert cast(int, model.stride) == stride
    side = stride + 1
    if stride == 1:
        assert model(torch.rand(1, 3, side, 3))[0].shape == (1, 3, side, 3)
        return
    wanted = rf"sides that are multiples of {stride}, got \(1, 3, {2 * stride}, {side}\)"
    with pytest.raises(ValueError, match=wanted):
        model(torch.rand(1, 3, 2 * stride, side))


def test_other_shapes_are_refused(model: nn.Module) -> None:
    with pytest.raises(ValueError, match=r"image must have shape \(B, 3, H, W\), got \(3, 8, 8\)"):
        model(torch.rand(3, 8, 8))


@pytest.mark.parametrize(
    ("name", "small"), [("carn", {"width": 8, "scale": 2}), ("restormer", SMALL)]
)
def test_the_config_builds_it_and_a_file_brings_it_back(
    name: str, small: dict[str, Any], image: Tensor, tmp_path: Path
) -> None:
    shipped = OmegaConf.load(conf_dir() / "model" / f"{name}.yaml")
    assert set(small) <= set(shipped)
    config = cast("dict[str, Any]", OmegaConf.to_container(shipped)) | small
    model = instantiate(config).eval()
    save_model(tmp_path / "model.safetensors", model, config, {})
    again, _ = load_model(tmp_path)
    with torch.no_grad():
        assert torch.equal(model(image)[0], again(image)[0])


def test_normals_of_a_last_layer() -> None:
    x = torch.tensor([0.0, -2.0, 0.0])[None, :, None, None].half()
    expected = torch.tensor([0.0, -1.0, 0.0])[None, :, None, None]
    assert torch.equal(to_normals(x), expected)
    assert torch.equal(to_normals(torch.zeros(1, 3, 1, 1)), torch.zeros(1, 3, 1, 1))


@pytest.mark.parametrize("build", [lambda: CasFNE(2), lambda: CARN(width=8)])
@pytest.mark.parametrize("seed", range(3))
def test_every_phase_of_a_new_generators_pixels_points_at_the_camera(
    build: Callable[[], nn.Module], seed: int
) -> None:
    torch.manual_seed(seed)
    generator = build().eval()
    with torch.inference_mode():
        for normals in generator(torch.rand(1, 3, 64, 64)):
            phases = [normals[:, 2, i::2, j::2].mean() for i in range(2) for j in range(2)]
            assert min(phases) > 0.3
