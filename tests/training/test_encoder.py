"""The encoder: features, folding of its norms, first weights."""

import warnings
from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any
from urllib.error import URLError

import pytest
import torch
from torch import Tensor, nn

from facegeo.errors import UserError
from facegeo.files.torch_file import sha256
from facegeo.training import resnet
from facegeo.training.resnet import (
    IMAGENET_MEAN,
    IMAGENET_STD,
    ResNet,
    conv_of,
    fold_norm,
    folded_conv,
    load_encoder,
)

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


def trained_norm(channels: int) -> nn.BatchNorm2d:
    """In eval mode, statistics far from fresh; one channel hardly varied."""
    torch.manual_seed(0)
    norm = nn.BatchNorm2d(channels).eval()
    assert norm.running_mean is not None
    assert norm.running_var is not None
    nn.init.normal_(norm.running_mean)
    nn.init.uniform_(norm.running_var, 0.5, 2)
    norm.running_var[0] = norm.eps
    nn.init.uniform_(norm.weight, 0.5, 1.5)
    nn.init.normal_(norm.bias)
    return norm


@pytest.mark.parametrize("bias", [True, False])
def test_convolution(bias: bool) -> None:
    norm = trained_norm(5)
    conv = nn.Conv2d(3, 5, 3, 2, 1, bias=bias)
    image = torch.rand(2, 3, 9, 8)
    with torch.no_grad():
        torch.testing.assert_close(folded_conv(conv, norm)(image), norm(conv(image)))


@pytest.mark.parametrize("bias", [True, False])
def test_transposed_convolution(bias: bool) -> None:
    norm = trained_norm(3)  # as many as come in: the axis must not be guessed
    conv = nn.ConvTranspose2d(3, 3, 4, 2, 1, bias=bias)
    image = torch.rand(2, 3, 5, 4)
    weight, shift = fold_norm(conv, norm)
    with torch.no_grad():
        got = nn.functional.conv_transpose2d(image, weight, shift, 2, 1)
        torch.testing.assert_close(got, norm(conv(image)))


def test_weights_are_copied() -> None:
    weight, bias = torch.ones(2, 1, 3, 3), torch.ones(2)
    conv = conv_of(weight, bias, 1, 1)
    weight.zero_()
    bias.zero_()
    assert conv.weight.min() == 1
    assert conv.bias is not None
    assert conv.bias.min() == 1
    assert conv_of(weight, None, 1, 0).bias is None


Save = Callable[[dict[str, Any]], Path]


@pytest.fixture(scope="module")
def tensors() -> dict[str, Tensor]:
    """What torchvision's file holds."""
    torch.manual_seed(0)
    classifier = {"fc.weight": torch.randn(1000, 512), "fc.bias": torch.randn(1000)}
    return ResNet().state_dict() | classifier


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where torch keeps downloads, empty, without a network."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))

    def offline(*args: object, **options: object) -> None:
        raise URLError("no network")

    monkeypatch.setattr("torch.hub.urlopen", offline)
    return tmp_path / "hub" / "checkpoints"


def equal(encoder: ResNet, tensors: dict[str, Tensor]) -> bool:
    return all(torch.equal(value, tensors[name]) for name, value in encoder.state_dict().items())


def test_none_changes_nothing() -> None:
    encoder = ResNet()
    before = {name: value.clone() for name, value in encoder.state_dict().items()}
    assert load_encoder(encoder, "none") == {"weights": "none"}
    assert equal(encoder, before)


def test_a_file_with_or_without_the_classifier(tensors: dict[str, Tensor], tmp_path: Path) -> None:
    path = tmp_path / "mine.pth"
    bare = {name: value for name, value in tensors.items() if not name.startswith("fc.")}
    for content in (tensors, bare):
        torch.save(content, path)
        encoder = ResNet()
        assert load_encoder(encoder, str(path)) == {"weights": str(path), "sha256": sha256(path)}
        assert equal(encoder, tensors)


def test_files_older_than_the_count_of_batches(tensors: dict[str, Tensor], tmp_path: Path) -> None:
    old = {name: value for name, value in tensors.items() if "num_batches" not in name}
    torch.save(old, tmp_path / "old.pth")
    encoder = ResNet()
    load_encoder(encoder, tmp_path / "old.pth")
    assert equal(encoder, tensors)


def test_another_network_is_refused(tensors: dict[str, Tensor], tmp_path: Path) -> None:
    path = tmp_path / "mine.pth"
    torch.save(tensors, path)
    with pytest.raises(UserError, match=r"another network: missing layer1.2.bn1.bias, .* more;"):
        load_encoder(ResNet(34), path)
    torch.save([1], path)
    with pytest.raises(UserError, match="must hold tensors by name, got a list"):
        load_encoder(ResNet(), path)


def test_imagenet_weights_are_found_where_torch_keeps_them(
    tensors: dict[str, Tensor], hub: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.mkdir(parents=True)
    torch.save(tensors, hub / "new.pth")
    whole = sha256(hub / "new.pth")
    path = (hub / "new.pth").rename(hub / f"resnet18-{whole[:8]}.pth")
    monkeypatch.setattr(resnet, "FILES", {18: path.name})
    encoder = ResNet()
    assert load_encoder(encoder, "imagenet") == {"weights": "imagenet", "sha256": whole}
    assert equal(encoder, tensors)


def test_imagenet_weights_are_downloaded_and_checked(
    tensors: dict[str, Tensor], hub: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[str, str]] = []

    def download(url: str, path: str, start: str, **options: object) -> None:
        asked.append((url.rpartition("/")[2], start))
        torch.save(tensors, path)

    monkeypatch.setattr("torch.hub.download_url_to_file", download)
    encoder = ResNet()
    record = load_encoder(encoder, "imagenet")
    assert asked == [("resnet18-f37072fd.pth", "f37072fd")]
    assert record["sha256"] == sha256(hub / "resnet18-f37072fd.pth")
    assert equal(encoder, tensors)


def test_a_damaged_download_is_refused(hub: Path) -> None:
    hub.mkdir(parents=True)
    (hub / "resnet18-f37072fd.pth").write_bytes(b"half a file")
    with pytest.raises(UserError, match=r"damaged .* SHA-256 must begin with f37072fd; remove it"):
        load_encoder(ResNet(), "imagenet")


@pytest.mark.parametrize(("depth", "name"), [(18, "resnet18-f37072fd"), (34, "resnet34-b627a593")])
def test_offline_error_names_the_file_and_its_folder(hub: Path, depth: int, name: str) -> None:
    wanted = rf"/{name}.pth \(.*no network.*\); put that file into {hub}, or give weights=PATH"
    with pytest.raises(UserError, match=wanted):
        load_encoder(ResNet(depth), "imagenet")
