"""ResNet-18 and -34 features, folding of BatchNorm, pretrained weights.

He, Zhang, Ren, Sun: Deep Residual Learning for Image Recognition, CVPR 2016, Table 1.
"""

from __future__ import annotations

from pathlib import Path
from typing import cast

import torch
import torch.nn.functional as F  # noqa: N812  torch's own habit
from torch import Tensor, nn

from facegeo.checks import check_shape
from facegeo.errors import UserError
from facegeo.files.torch_file import check_tensors, read_torch_file, sha256


@torch.no_grad()
def fold_norm(conv: nn.Module, norm: nn.Module) -> tuple[Tensor, Tensor]:
    """Weight and bias that do at once what a convolution and its normalisation do in eval mode.

    Args:
        conv: ``nn.Conv2d`` or ``nn.ConvTranspose2d`` of one group.
        norm: The ``nn.BatchNorm2d`` after it, with running statistics and an affine map.

    Returns:
        The weight, shaped as ``conv.weight``, and the bias, (C,); both new tensors.
    """
    conv, norm = cast(nn.Conv2d, conv), cast(nn.BatchNorm2d, norm)
    mean, variance = cast(Tensor, norm.running_mean), cast(Tensor, norm.running_var)
    scale = norm.weight / (variance + norm.eps).sqrt()
    shape = (1, -1, 1, 1) if conv.transposed else (-1, 1, 1, 1)
    shift = -mean if conv.bias is None else conv.bias - mean
    return conv.weight * scale.view(shape), shift * scale + norm.bias


def folded_conv(conv: nn.Module, norm: nn.Module) -> nn.Conv2d:
    """A convolution that equals ``conv``, an ``nn.Conv2d``, and then ``norm`` in eval mode."""
    weight, bias = fold_norm(conv, norm)
    conv = cast(nn.Conv2d, conv)
    return conv_of(weight, bias, conv.stride[0], int(conv.padding[0]))


def conv_of(weight: Tensor, bias: Tensor | None, stride: int, padding: int) -> nn.Conv2d:
    """A convolution with copies of this weight (O, I, K, K) and bias (O,)."""
    out, inputs, kernel, _ = weight.shape
    conv = nn.Conv2d(inputs, out, kernel, stride, padding, bias=bias is not None)
    conv.weight = nn.Parameter(weight.detach().clone())
    if bias is not None:
        conv.bias = nn.Parameter(bias.detach().clone())
    return conv


BLOCKS = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3)}
CHANNELS = (64, 64, 128, 256, 512)
"""Channels of the five scales: stem, layer1, layer2, layer3, layer4."""
IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


class BasicBlock(nn.Module):
    """Two 3x3 convolutions around a shortcut; the first may halve the side.

    Args:
        channels: That come in.
        out: That go out.
        stride: Of the first convolution.
    """

    def __init__(self, channels: int, out: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, out, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(out)
        self.conv2 = nn.Conv2d(out, out, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(out)
        self.downsample = None
        if stride != 1 or channels != out:
            self.downsample = nn.Sequential(
                nn.Conv2d(channels, out, 1, stride, bias=False), nn.BatchNorm2d(out)
            )

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, channels, H, W) to (B, out, H / stride, W / stride)."""
        shortcut = x if self.downsample is None else self.downsample(x)
        y = F.relu_(self.bn1(self.conv1(x)))
        return F.relu_(self.bn2(self.conv2(y)).add_(shortcut))


class ResNet(nn.Module):
    """ResNet-18 or 34 up to its last block, without pooling and classifier.

    Args:
        depth: 18 or 34.
        imagenet_norm: Whether images lose ImageNet's mean and are divided by its standard
            deviation first, as when the published weights were trained. The Cas-FNE authors leave
            it out.

    Raises:
        ValueError: If ``depth`` is another.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, depth: int = 18, *, imagenet_norm: bool = False) -> None:
        super().__init__()
        if depth not in BLOCKS:
            raise ValueError(f"depth must be one of {sorted(BLOCKS)}, got {depth}")
        self.depth, self.imagenet_norm = depth, imagenet_norm
        stem, *widths = CHANNELS
        self.conv1 = nn.Conv2d(3, stem, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(stem)
        counts = BLOCKS[depth]
        self.layer1 = _layer(stem, widths[0], counts[0], stride=1)
        self.layer2 = _layer(widths[0], widths[1], counts[1], stride=2)
        self.layer3 = _layer(widths[1], widths[2], counts[2], stride=2)
        self.layer4 = _layer(widths[2], widths[3], counts[3], stride=2)
        for name, values in (("mean", IMAGENET_MEAN), ("std", IMAGENET_STD)):
            self.register_buffer(name, torch.tensor(values)[:, None, None], persistent=False)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):  # He et al.'s own initialisation
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        """Features at 1/2, 1/4, 1/8, 1/16 and 1/32 of the side, none negative.

        Args:
            image: RGB in [0, 1], shape (B, 3, H, W), H and W multiples of 32.

        Returns:
            Stem (before its pooling) and layers 1 to 4: 64, 64, 128, 256 and 512 channels.

        Raises:
            ValueError: If the shape is another.
        """
        check_shape("image", image, "B", 3, "H", "W")
        if image.shape[-2] % 32 or image.shape[-1] % 32:
            raise ValueError(
                f"image must have sides that are multiples of 32, got {tuple(image.shape)}"
            )
        if self.imagenet_norm:
            image = (image - self.mean) / self.std
        stem = F.relu_(self.bn1(self.conv1(image)))
        one = self.layer1(F.max_pool2d(stem, 3, 2, 1))
        two = self.layer2(one)
        three = self.layer3(two)
        return stem, one, two, three, self.layer4(three)


def _layer(channels: int, out: int, blocks: int, stride: int) -> nn.Sequential:
    rest = [BasicBlock(out, out, 1) for _ in range(blocks - 1)]
    return nn.Sequential(BasicBlock(channels, out, stride), *rest)


SOURCE = "https://download.pytorch.org/models/"
FILES = {18: "resnet18-f37072fd.pth", 34: "resnet34-b627a593.pth"}
"""torchvision's IMAGENET1K_V1 by depth; the digits begin the file's SHA-256."""
FC = frozenset({"fc.weight", "fc.bias"})


def load_encoder(encoder: ResNet, weights: str | Path) -> dict[str, str]:
    """Give an encoder its first weights.

    Args:
        encoder: Changed in place, unless ``weights`` is "none".
        weights: "none": left as it is; "imagenet": torchvision's, downloaded to or found where
            torch keeps such files; otherwise a file in torchvision's layout, with or without the
            classifier, which is not used.

    Returns:
        What a run should record: ``weights`` as given, and the file's ``sha256`` if there is one.

    Raises:
        UserError: If the file cannot be downloaded or read, or holds another network.
    """
    if str(weights) == "none":
        return {"weights": "none"}
    path = _imagenet(FILES[encoder.depth]) if str(weights) == "imagenet" else Path(weights)
    path = path.expanduser()
    found = read_torch_file(path)
    wanted = encoder.state_dict()
    if isinstance(found, dict):
        found = {name: value for name, value in found.items() if name not in FC}
        # Files from before torch 0.4.1 do not count batches; nothing here uses the count.
        counts = {name for name in wanted if name.endswith("num_batches_tracked")}
        found = {name: wanted[name] for name in counts} | found
    encoder.load_state_dict(check_tensors(path, found, wanted))
    return {"weights": str(weights), "sha256": sha256(path)}


def _imagenet(name: str) -> Path:
    """Path of torchvision's file, downloaded if it is not there."""
    path = Path(torch.hub.get_dir()) / "checkpoints" / name
    start = name.removesuffix(".pth").rpartition("-")[2]
    if path.is_file():
        if not sha256(path).startswith(start):
            raise UserError(
                f"{path} is damaged or another file: its SHA-256 must begin with {start}; remove "
                "it to have it downloaded again"
            )
        return path
    try:
        torch.hub.load_state_dict_from_url(
            SOURCE + name, map_location="cpu", weights_only=True, check_hash=True
        )
    except (OSError, RuntimeError) as error:
        raise UserError(
            f"cannot download {SOURCE}{name} ({error}); put that file into {path.parent}, or give "
            "weights=PATH of a copy, or weights=none to start from random weights"
        ) from error
    return path
