"""Cas-FNE for inference: folded and regrouped, with equal outputs.

A transposed convolution (kernel 4, stride 2, padding 1) makes each of the four pixels that come
out of one from 2 x 2 pixels that go in. So it is a 2 x 2 convolution to four times the channels,
whose maps are then woven into one.

Differences from ``CasFNE``: batch normalisation is folded into the convolutions; a convolution
of two concatenated maps is the sum of two convolutions, and the half that sees only the photo is
done once for all refinements, which share their weights; the initial block's last two layers are
one; layers to three channels are in the form of ``Quarters``; tensors are channels last.
"""

from __future__ import annotations

from copy import deepcopy
from typing import cast

import torch
import torch.nn.functional as F  # noqa: N812  torch's own habit
from torch import Tensor, nn

from facegeo.checks import check_shape
from facegeo.normals.generator import (
    CAT,
    AdaIN,
    CascadedBlock,
    CasFNE,
    Features,
    InitialDecoder,
    NormalEncoder,
    RefiningDecoder,
    statistics,
)
from facegeo.training.resnet import BasicBlock, ResNet, conv_of, fold_norm, folded_conv


class Doubling(nn.Module):
    """A doubling layer in two steps, ``finish(layer(x))``; sums are taken between them.

    Here the first step is the transposed convolution and the second does nothing: fastest for many
    channels in PyTorch.

    Args:
        weight: Of the transposed convolution, (I, O, 4, 4).
        bias: Of the same, (O,), or None.
    """

    def __init__(self, weight: Tensor, bias: Tensor | None) -> None:
        super().__init__()
        inputs, out = weight.shape[:2]
        conv = nn.ConvTranspose2d(inputs, out, 4, 2, 1, bias=bias is not None)
        conv.weight = nn.Parameter(weight.detach().clone())
        if bias is not None:
            conv.bias = nn.Parameter(bias.detach().clone())
        self.conv: nn.Module = conv

    def forward(self, x: Tensor) -> Tensor:
        """First step, linear, from (B, I, H, W)."""
        return cast(Tensor, self.conv(x))

    def finish(self, x: Tensor) -> Tensor:
        """The doubled map (B, O, 2 H, 2 W) from the output of the first step."""
        return x


class Quarters(Doubling):
    """The same layer as a 2 x 2 convolution and a weaving of its maps.

    Fastest for few channels, and for any number in ONNX Runtime. The first step gives
    (B, 4 O, H + 1, W + 1).
    """

    def __init__(self, weight: Tensor, bias: Tensor | None) -> None:
        super().__init__(weight, bias)
        # Row 2i of the output has rows i - 1 and i under taps 3 and 1; row 2i + 1 has rows i
        # and i + 1 under taps 2 and 0; columns alike.
        taps = weight.flip(2, 3).unflatten(3, (2, 2)).unflatten(2, (2, 2))
        self.conv = conv_of(_quarter_kernels(taps), None if bias is None else bias.repeat(4), 1, 1)

    def finish(self, x: Tensor) -> Tensor:
        """The doubled map (B, O, 2 H, 2 W) from the output of the first step."""
        a, b, c, d = x.chunk(4, dim=1)
        return _weave(a[..., :-1, :-1], b[..., :-1, 1:], c[..., 1:, :-1], d[..., 1:, 1:])


class DoublingHead(nn.Module):
    """A doubling layer and a 3 x 3 convolution behind it, between which nothing bends, as one.

    Together they are a 3 x 3 convolution to four times the channels, woven into one, but along
    the edges: there the second layer sees zeros where the one layer sees values of the first
    outside its map. Their share is computed and subtracted.

    Args:
        weight: Of the doubling layer's transposed convolution, (I, M, 4, 4).
        bias: Of the same, (M,).
        head: The layer behind it, a transposed convolution from M to O, kernel 3, padding 1.
    """

    def __init__(self, weight: Tensor, bias: Tensor, head: nn.ConvTranspose2d) -> None:
        super().__init__()
        kernel, head_bias = head.weight.detach(), cast(Tensor, head.bias).detach()
        taps = F.conv_transpose2d(weight, kernel).unflatten(3, (3, 2)).unflatten(2, (3, 2))
        whole = torch.einsum("mohw,m->o", kernel, bias) + head_bias
        self.conv = conv_of(_quarter_kernels(taps.flip(2, 4)), whole.repeat(4), 1, 1)
        turned = kernel.transpose(0, 1).flip(2, 3)
        first = (weight[:, :, :1], weight[:, :, 3:], weight[..., :1], weight[..., 3:])
        second = (turned[:, :, :1], turned[:, :, 2:], turned[..., :1], turned[..., 2:])
        self.first, self.second = _parameters(*first), _parameters(*second)
        self.bias = nn.Parameter(bias.detach().clone())

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, I, H, W) to (B, O, 2 H, 2 W)."""
        out = _weave(*self.conv(x).chunk(4, dim=1))
        sides = (x[:, :, :1], x[:, :, -1:], x[..., :1], x[..., -1:])
        above, below, left, right = (
            F.conv_transpose2d(side, first, self.bias, 2)
            for side, first in zip(sides, self.first, strict=True)
        )
        # The rows outside have the corners, the columns do not.
        out[:, :, :1] -= F.conv2d(above, self.second[0])
        out[:, :, -1:] -= F.conv2d(below, self.second[1])
        out[..., :1] -= F.conv2d(left[:, :, 1:-1], self.second[2], padding=(1, 0))
        out[..., -1:] -= F.conv2d(right[:, :, 1:-1], self.second[3], padding=(1, 0))
        return out


def _parameters(*tensors: Tensor) -> nn.ParameterList:
    return nn.ParameterList(nn.Parameter(tensor.detach().clone()) for tensor in tensors)


def _quarter_kernels(taps: Tensor) -> Tensor:
    """Kernels (4 O, I, T, T) of the four quarters from (I, O, tap, row, tap, column)."""
    inputs, out, side = taps.shape[:3]
    return taps.permute(3, 5, 1, 0, 2, 4).reshape(4 * out, inputs, side, side)


def _weave(a: Tensor, b: Tensor, c: Tensor, d: Tensor) -> Tensor:
    """One map (B, O, 2 H, 2 W) of four quarters, (B, O, H, W) each, in reading order."""
    upper, lower = torch.stack((a, b), dim=-1).flatten(-2), torch.stack((c, d), dim=-1).flatten(-2)
    return torch.stack((upper, lower), dim=-2).flatten(-3, -2)


class FastBlock(nn.Module):
    """As ``CascadedBlock``, in two steps: ``block(normals, block.prepare(structure))``.

    Args:
        block: The block.
        make: Form of the layers that double a side.
    """

    def __init__(self, block: CascadedBlock, make: type[Doubling]) -> None:
        super().__init__()
        self.convs = nn.ModuleList(_encoder_convs(block.encoder))
        self.levels = nn.ModuleList(_levels(block.decoder, make))

    def prepare(self, structure: Features) -> list[Tensor]:
        """Each level's share that depends only on the photo, given the five scales of E_f."""
        levels = zip(self.levels, reversed(structure), strict=True)
        return [cast(Level, level).prepare(skip) for level, skip in levels]

    def forward(self, normals: Tensor, known: list[Tensor]) -> Tensor:
        """Better unit normals (B, 3, H, W) than those given, same shape."""
        first, *rest = self.convs
        x = first(normals.to(cast(nn.Conv2d, first).weight.dtype))
        for conv in rest:
            x = conv(F.leaky_relu_(x, 0.2))
        for level, skip in zip(self.levels, known, strict=True):
            x = level(x, skip)
        return unit(x)


class Level(nn.Module):
    """One level of D_cn, whose structure passes as it is (CAT): its half is done beforehand.

    Args:
        own: Layer for the features that come from below.
        skip: Layer for the structure.
    """

    def __init__(self, own: Doubling, skip: Doubling) -> None:
        super().__init__()
        self.own, self.skip = own, skip

    def prepare(self, structure: Tensor) -> Tensor:
        """The structure's share of the layer's output."""
        return cast(Tensor, self.skip(structure))  # E_f's features are never below zero

    def forward(self, x: Tensor, known: Tensor) -> Tensor:
        """Features of the next finer scale; ``x`` is overwritten."""
        return self.own.finish(self.own(x.relu_()).add_(known))


class FusedLevel(Level):
    """One level whose structure the normals change.

    Args:
        own: Layer for the features that come from below.
        skip: Layer for the structure.
        fusion: How the normals change it.
    """

    def __init__(self, own: Doubling, skip: Doubling, fusion: nn.Module) -> None:
        super().__init__(own, skip)
        self.fusion = fusion

    def prepare(self, structure: Tensor) -> Tensor:
        """The structure as it is: there is nothing to do without the normals."""
        return structure

    def forward(self, x: Tensor, known: Tensor) -> Tensor:
        """Features of the next finer scale; ``x`` is overwritten."""
        return super().forward(x, self.skip(self.fusion(x, known).relu()))


class AdaINLevel(FusedLevel):
    """One level whose structure takes on the normals' mean and deviation."""

    def prepare(self, structure: Tensor) -> Tensor:
        """The structure without its own mean and deviation, float32."""
        mean, deviation = statistics(structure)
        return (structure.float() - mean) / deviation

    def forward(self, x: Tensor, known: Tensor) -> Tensor:
        """Features of the next finer scale; ``x`` is overwritten."""
        mean, deviation = statistics(x)
        styled = (known * deviation + mean).to(x.dtype)
        return Level.forward(self, x, self.skip(styled.relu_()))


def unit(x: Tensor) -> Tensor:
    """As ``to_normals``; a sum of squares over three channels is far quicker than torch's norm."""
    x = x.float().tanh_()
    return x.div_(x.square().sum(dim=1, keepdim=True).sqrt_().clamp_min_(1e-6))


def _encoder_convs(encoder: NormalEncoder) -> list[nn.Module]:
    first, *middle, last = encoder.convs
    folded = [folded_conv(*pair) for pair in zip(middle, encoder.norms, strict=True)]
    return [deepcopy(first), *folded, deepcopy(last)]


def _levels(decoder: RefiningDecoder, make: type[Doubling]) -> list[Level]:
    levels = []
    for number, (layer, fusion) in enumerate(zip(decoder.deconvs, decoder.fusions, strict=True)):
        deconv = cast(nn.ConvTranspose2d, layer)
        weight, bias = deconv.weight.detach(), cast(Tensor, deconv.bias).detach()
        if number < len(decoder.norms):
            weight, bias = fold_norm(deconv, decoder.norms[number])
        form = make if deconv.out_channels > 3 else Quarters
        own, skip = _halves(weight, number)
        levels.append(_level(form(own, None), form(skip, bias), fusion))
    return levels


def _halves(weight: Tensor, number: int) -> tuple[Tensor, Tensor]:
    """The share of a weight (I, O, 4, 4) that sees the level's own features, and the rest."""
    if number == 0:  # the structure comes first there, and has 512 of the channels
        structure, own = weight[: -NormalEncoder.channels], weight[-NormalEncoder.channels :]
        return own, structure
    half = len(weight) // 2
    return weight[:half], weight[half:]


def _level(own: Doubling, skip: Doubling, fusion: nn.Module) -> Level:
    if isinstance(fusion, CAT) or (isinstance(fusion, AdaIN) and not fusion.matched):
        return Level(own, skip)
    kind = AdaINLevel if isinstance(fusion, AdaIN) else FusedLevel
    return kind(own, skip, deepcopy(fusion))


DOUBLINGS = {"transposed": Doubling, "quarters": Quarters}


def fast_generator(generator: CasFNE, doubling: str = "transposed") -> FastCasFNE:
    """Bring a generator into the form that infers fastest.

    Its weights are copied: later changes of ``generator`` change nothing here. The result
    answers to ``to``: a GPU, or ``torch.bfloat16`` where equal outputs are not asked for. It can
    be exported (``torch.onnx.export(..., dynamo=True)``), compiled (``torch.compile``), and its
    calls recorded on a GPU (``facegeo.training.recorded``).

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
    """The form that ``fast_generator`` returns.

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
