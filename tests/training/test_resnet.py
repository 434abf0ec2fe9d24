"""The encoder: torchvision's keys, and MONAI's ResNet as an independent reference."""

import warnings
from itertools import product

import pytest
import torch
from torch import Tensor, nn

from facegeo.training.resnet import IMAGENET_MEAN, IMAGENET_STD, ResNet

NORM = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")


def random_encoder(depth: int) -> ResNet:
    """An encoder whose batch norms do something in eval mode."""
    torch.manual_seed(0)
    encoder = ResNet(depth)
    for module in encoder.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, 0, 0.1)
            nn.init.normal_(module.running_mean, 0, 0.1)
            nn.init.uniform_(module.running_var, 0.5, 1.5)
    return encoder


def torchvision_keys(blocks: tuple[int, ...]) -> set[str]:
    keys = {"conv1.weight", *(f"bn1.{kind}" for kind in NORM)}
    for layer, count in enumerate(blocks, 1):
        for block, number in product(range(count), (1, 2)):
            name = f"layer{layer}.{block}"
            keys |= {f"{name}.conv{number}.weight", *(f"{name}.bn{number}.{k}" for k in NORM)}
        if layer > 1:
            name = f"layer{layer}.0.downsample"
            keys |= {f"{name}.0.weight", *(f"{name}.1.{kind}" for kind in NORM)}
    return keys


@pytest.mark.parametrize(
    ("depth", "blocks", "parameters"),
    [(18, (2, 2, 2, 2), 11_176_512), (34, (3, 4, 6, 3), 21_284_672)],
)
def test_keys_and_size_are_torchvisions(
    depth: int, blocks: tuple[int, ...], parameters: int
) -> None:
    encoder = ResNet(depth)
    assert set(encoder.state_dict()) == torchvision_keys(blocks)
    assert sum(p.numel() for p in encoder.parameters()) == parameters


@pytest.mark.parametrize("depth", [18, 34])
def test_features_are_those_of_monai(depth: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # else MONAI sets it for good
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # MONAI's imports warn of other libraries
        nets = pytest.importorskip("monai.networks.nets")
    ours = random_encoder(depth)
    theirs = getattr(nets, f"resnet{depth}")(
        spatial_dims=2, n_input_channels=3, conv1_t_stride=2, bias_downsample=False
    )
    classifier = {"fc.weight": torch.randn(400, 512), "fc.bias": torch.randn(400)}
    theirs.load_state_dict(ours.state_dict() | classifier)
    found: list[Tensor] = []
    for name in ("layer1", "layer2", "layer3", "layer4"):
        theirs.get_submodule(name).register_forward_hook(lambda *seen: found.append(seen[-1]))
    image = torch.rand(2, 3, 64, 96)
    for training in (False, True):
        found.clear()
        with torch.no_grad():
            features = ours.train(training)(image)
            theirs.train(training)(image)
        for own, other in zip(features[1:], found, strict=True):
            torch.testing.assert_close(own, other, atol=1e-5, rtol=1e-5)


def test_scales_halve_and_are_never_negative() -> None:
    with torch.no_grad():
        features = random_encoder(18)(torch.rand(2, 3, 64, 96))
    shapes = [(64, 32, 48), (64, 16, 24), (128, 8, 12), (256, 4, 6), (512, 2, 3)]
    assert [tuple(one.shape[1:]) for one in features] == shapes
    assert all(one.min() == 0 for one in features)


def test_imagenet_norm_is_the_image_standardised_first() -> None:
    encoder = random_encoder(18).eval()
    image = torch.rand(1, 3, 32, 32)
    mean, std = (torch.tensor(v)[:, None, None] for v in (IMAGENET_MEAN, IMAGENET_STD))
    with torch.no_grad():
        wanted = encoder((image - mean) / std)[-1]
        encoder.imagenet_norm = True
        assert torch.equal(encoder(image)[-1], wanted)
    assert ResNet(imagenet_norm=True).imagenet_norm
    assert not ResNet().imagenet_norm


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((1, 3, 64, 48), r"sides that are multiples of 32, got \(1, 3, 64, 48\)"),
        ((1, 1, 64, 64), r"image must have shape \(B, 3, H, W\), got \(1, 1, 64, 64\)"),
        ((3, 64, 64), r"image must have shape \(B, 3, H, W\), got \(3, 64, 64\)"),
    ],
)
def test_another_shape_is_refused(shape: tuple[int, ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ResNet()(torch.zeros(shape))


def test_another_depth_is_refused() -> None:
    with pytest.raises(ValueError, match=r"depth must be one of \[18, 34\], got 50"):
        ResNet(50)
