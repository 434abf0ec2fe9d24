"""First weights of the encoder: from nowhere, a file, or torchvision's usual place."""

from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.error import URLError

import pytest
import torch
from torch import Tensor

from facegeo.errors import UserError
from facegeo.files.torch_file import sha256
from facegeo.training import resnet as pretrained
from facegeo.training.resnet import ResNet, load_encoder

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
    monkeypatch.setattr(pretrained, "FILES", {18: path.name})
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
def test_offline_says_what_to_put_where(hub: Path, depth: int, name: str) -> None:
    wanted = rf"/{name}.pth \(.*no network.*\); put that file into {hub}, or give weights=PATH"
    with pytest.raises(UserError, match=wanted):
        load_encoder(ResNet(depth), "imagenet")
