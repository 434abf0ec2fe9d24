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

from collections.abc import Iterator
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
    Stages,
)
from facegeo.training.resnet import conv_of, fold_norm, folded_conv


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
    """As ``CascadedBlock``; ``make``: form of the layers that double a side."""

    def __init__(self, block: CascadedBlock, make: type[Doubling]) -> None:
        super().__init__()
        self.encoder, self.residual = deepcopy(block.encoder), block.residual
        norms = [*self.encoder.norms, self.encoder.last_norm]
        for number, norm in enumerate(norms, 1):
            if isinstance(norm, nn.BatchNorm2d):
                self.encoder.convs[number] = folded_conv(self.encoder.convs[number], norm)
        self.encoder.norms = nn.ModuleList(nn.Identity() for _ in self.encoder.norms)
        self.encoder.last_norm = nn.Identity()
        self.levels = nn.ModuleList(_levels(block.decoder, make))

    def prepare(self, structure: Features) -> list[Tensor]:
        """Each level's share that depends only on the photo, given the five scales of E_f."""
        levels = zip(self.levels, reversed(structure), strict=True)
        return [cast(Level, level).prepare(skip) for level, skip in levels]

    def forward(self, normals: Tensor, known: list[Tensor]) -> Tensor:
        """Better unit normals (B, 3, H, W) than those given, same shape."""
        *finer, x = self.encoder(normals.to(cast(nn.Conv2d, self.encoder.convs[0]).weight.dtype))
        for level, skip, own in zip(self.levels, known, (x, *reversed(finer)), strict=True):
            x = level(x, skip, own)
        return unit(x, normals if self.residual else None)


class Level(nn.Module):
    """One level of D_cn.

    Args:
        own: Layer for the features that come from below.
        skip: Layer for the structure.
        fusion: How the normals change the structure. None (CAT): not at all, and its share is
            computed only once.
        normal: Layer for E_cn's features of this scale, beside those from below; None: not used.
    """

    def __init__(
        self,
        own: Doubling,
        skip: Doubling,
        fusion: nn.Module | None,
        normal: Doubling | None,
    ) -> None:
        super().__init__()
        self.own, self.skip, self.fusion, self.normal = own, skip, fusion, normal

    def prepare(self, structure: Tensor) -> Tensor:
        """The structure's share of the layer's output, or the structure if normals change it."""
        # E_f's features are never below zero: no ReLU.
        return structure if self.fusion else cast(Tensor, self.skip(structure))

    def forward(self, x: Tensor, known: Tensor, normal: Tensor) -> Tensor:
        """Features of the next finer scale; ``x`` and ``normal``, E_cn's, are overwritten."""
        if self.fusion:
            known = self.skip(self.fusion(x, known).relu())
        found = self.own(x.relu_()).add_(known)
        if self.normal is not None:
            found += self.normal(normal.relu_())
        return self.own.finish(found)


def unit(x: Tensor, added: Tensor | None = None) -> Tensor:
    """As ``to_normals``; a sum of squares over three channels is far quicker than torch's norm."""
    x = x.float().tanh_()
    if added is not None:
        x += added
    return x.div_(x.square().sum(dim=1, keepdim=True).sqrt_().clamp_min_(1e-6))


def _levels(decoder: RefiningDecoder, make: type[Doubling]) -> Iterator[Level]:
    for number, (layer, fusion) in enumerate(zip(decoder.deconvs, decoder.fusions, strict=True)):
        deconv = cast(nn.ConvTranspose2d, layer)
        weight, bias = deconv.weight.detach(), cast(Tensor, deconv.bias).detach()
        if number < len(decoder.norms):
            weight, bias = fold_norm(deconv, decoder.norms[number])
        form = make if deconv.out_channels > 3 else Quarters
        beside, normal = decoder.own[number], None
        if number:
            width = (len(weight) - beside) // 2
            own, middle, skip = weight.split((width, beside, width))
            normal = form(middle, None) if beside else None
        else:  # the structure comes first there, and has 512 of the channels
            skip, own = weight.tensor_split([-NormalEncoder.channels[-1]])
        plain = isinstance(fusion, CAT) or (isinstance(fusion, AdaIN) and not fusion.matched)
        changed = None if plain else deepcopy(fusion)
        yield Level(form(own, None), form(skip, bias), changed, normal)


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


class FastCasFNE(Stages):
    """The form that ``fast_generator`` returns; ``make``: form of the layers that double a side."""

    def __init__(self, generator: CasFNE, make: type[Doubling]) -> None:
        super().__init__()
        self.t, self.encoder = generator.t, deepcopy(generator.encoder)
        for module in list(self.encoder.modules()):
            for conv, norm in (("conv1", "bn1"), ("conv2", "bn2"), ("0", "1")):
                if isinstance(getattr(module, norm, None), nn.BatchNorm2d):
                    setattr(module, conv, folded_conv(getattr(module, conv), getattr(module, norm)))
                    setattr(module, norm, nn.Identity())
        self.initial = FastInitial(generator.initial, make)
        self.block = None if generator.block is None else FastBlock(generator.block, make)

    def forward(self, image: Tensor, t: int | None = None) -> tuple[Tensor, ...]:
        """Estimate normals, as ``CasFNE.forward`` does and with its arguments."""
        check_shape("image", image, "B", 3, "H", "W")
        dtype = self.encoder.conv1.weight.dtype
        return super().forward(image.to(dtype, memory_format=torch.channels_last), t)


class FastInitial(nn.Module):
    """D_n: as ``InitialDecoder``; ``make``: form of the layers that double a side."""

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
