"""Cas-FNE's generator for inference alone: equal outputs, several times as fast.

What differs from ``CasFNE``: batch normalisation is folded into the convolutions; a convolution
of two concatenated maps is the sum of two convolutions, and the half that sees the photo alone is
done once for all refinements, which share their weights; the initial block's last two layers are
one; layers to three channels are in the form of ``Quarters``; memory lies channels last.
"""

from __future__ import annotations

from typing import cast

import torch
import torch.nn.functional as F  # noqa: N812  torch's own habit
from torch import Tensor, nn

from facegeo.checks import check_shape
from facegeo.models.casfne.doubling import Doubling, DoublingHead, Quarters
from facegeo.models.casfne.fast_block import FastBlock, unit
from facegeo.models.casfne.generator import CasFNE, Features, InitialDecoder
from facegeo.models.folding import fold_norm, folded_conv
from facegeo.models.resnet import BasicBlock, ResNet

DOUBLINGS = {"transposed": Doubling, "quarters": Quarters}


def fast_generator(generator: CasFNE, doubling: str = "transposed") -> FastCasFNE:
    """Bring a generator into the form that infers fastest.

    Its weights are copied: what becomes of ``generator`` later changes nothing here. The result
    answers to ``to``: a GPU, or ``torch.bfloat16`` where equal outputs are not asked for. It can
    be exported (``torch.onnx.export(..., dynamo=True)``), compiled (``torch.compile``), and its
    calls recorded on a GPU (``facegeo.models.recorded``).

    Args:
        generator: Any ``CasFNE``; its batch statistics are taken as in eval mode.
        doubling: Form of the layers that double a side: "transposed" is fastest in PyTorch,
            "quarters" in ONNX Runtime.

    Returns:
        A module that maps images (B, 3, H, W) in [0, 1], sides multiples of 32, and optionally
        ``t``, to the same normals as ``generator``: within 1e-4 in float32.

    Raises:
        ValueError: If ``doubling`` is another.
    """
    if doubling not in DOUBLINGS:
        raise ValueError(f"doubling must be one of {sorted(DOUBLINGS)}, got {doubling}")
    with torch.no_grad():
        fast = FastCasFNE(generator, DOUBLINGS[doubling])
    for parameter in fast.parameters():
        if parameter.ndim == 4:
            parameter.data = parameter.data.contiguous(memory_format=torch.channels_last)
    return fast.eval().requires_grad_(False)


class FastCasFNE(nn.Module):
    """What ``fast_generator`` makes.

    Args:
        generator: The generator.
        make: Form of the layers that double a side.
    """

    def __init__(self, generator: CasFNE, make: type[Doubling]) -> None:
        super().__init__()
        self.t = generator.t
        self.encoder = FastResNet(generator.encoder)
        self.initial = FastInitial(generator.initial, make)
        self.block = None if generator.block is None else FastBlock(generator.block, make)

    def forward(self, image: Tensor, t: int | None = None) -> tuple[Tensor, ...]:
        """Estimate normals, as ``CasFNE.forward`` does and with its arguments."""
        t = self.t if t is None else t
        if t < 0 or (t and self.block is None):
            reason = "; built with t=0 it has no cascaded block" if self.block is None else ""
            raise ValueError(f"t must be at least 0, got {t}{reason}")
        structure = self.encoder(image)
        stages = [self.initial(structure)]
        if t:
            block = cast(FastBlock, self.block)
            known = block.prepare(structure)
            for _ in range(t):
                stages.append(block(stages[-1], known))
        return tuple(stages)


class FastResNet(nn.Module):
    """E_f: as ``ResNet``.

    Args:
        net: The encoder.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, net: ResNet) -> None:
        super().__init__()
        self.imagenet_norm = net.imagenet_norm
        self.register_buffer("mean", net.mean.clone())
        self.register_buffer("std", net.std.clone())
        self.stem = folded_conv(net.conv1, net.bn1)
        layers = (net.layer1, net.layer2, net.layer3, net.layer4)
        self.layers = nn.ModuleList(
            nn.Sequential(*(FastBasicBlock(cast(BasicBlock, one)) for one in layer))
            for layer in layers
        )

    def forward(self, image: Tensor) -> Features:
        """Features at five scales, finest first, of images (B, 3, H, W) in [0, 1]."""
        check_shape("image", image, "B", 3, "H", "W")
        if image.shape[-2] % 32 or image.shape[-1] % 32:
            raise ValueError(
                f"image must have sides that are multiples of 32, got {tuple(image.shape)}"
            )
        x = image.to(self.stem.weight.dtype, memory_format=torch.channels_last)
        if self.imagenet_norm:  # not folded: the stem's padding is zero after it, not before
            x = (x - self.mean) / self.std
        features = [self.stem(x).relu_()]
        x = F.max_pool2d(features[0], 3, 2, 1)
        for layer in self.layers:
            x = layer(x)
            features.append(x)
        return tuple(features)


class FastBasicBlock(nn.Module):
    """As ``BasicBlock``.

    Args:
        block: The block.
    """

    def __init__(self, block: BasicBlock) -> None:
        super().__init__()
        self.first = folded_conv(block.conv1, block.bn1)
        self.second = folded_conv(block.conv2, block.bn2)
        self.shortcut = None
        if block.downsample is not None:
            self.shortcut = folded_conv(*block.downsample)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, channels, H, W) to (B, out, H / stride, W / stride)."""
        shortcut = x if self.shortcut is None else self.shortcut(x)
        return cast(Tensor, self.second(self.first(x).relu_()).add_(shortcut).relu_())


class FastInitial(nn.Module):
    """D_n: as ``InitialDecoder``.

    Args:
        decoder: The decoder.
        make: Form of the layers that double a side.
    """

    def __init__(self, decoder: InitialDecoder, make: type[Doubling]) -> None:
        super().__init__()
        *rest, (weight, bias) = [
            fold_norm(*pair) for pair in zip(decoder.deconvs, decoder.norms, strict=True)
        ]
        self.deconvs = nn.ModuleList(make(*pair) for pair in rest)
        head = decoder.head
        if isinstance(head, nn.ConvTranspose2d):
            self.last: Doubling | DoublingHead = DoublingHead(weight, bias, head)
        else:
            mix = head.weight[:, :, 0, 0]
            self.last = Quarters(
                torch.einsum("imhw,om->iohw", weight, mix), mix @ bias + cast(Tensor, head.bias)
            )

    def forward(self, structure: Features) -> Tensor:
        """Unit normals (B, 3, H, W) from the five scales of E_f."""
        *skips, x = structure
        for layer in self.deconvs:
            deconv = cast(Doubling, layer)
            x = torch.cat((deconv.finish(deconv(x).relu_()), skips.pop()), dim=1)
        x = self.last(x)
        return unit(self.last.finish(x) if isinstance(self.last, Doubling) else x)
