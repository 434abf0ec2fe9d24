"""Cas-FNE's cascaded block for inference alone: what depends on the photo is done once."""

from __future__ import annotations

from copy import deepcopy
from typing import cast

import torch.nn.functional as F  # noqa: N812  torch's own habit
from torch import Tensor, nn

from facegeo.models.casfne.doubling import Doubling, Quarters
from facegeo.models.casfne.fusion import CAT, AdaIN, statistics
from facegeo.models.casfne.generator import CascadedBlock, Features, NormalEncoder, RefiningDecoder
from facegeo.models.folding import fold_norm, folded_conv


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
        """What each level knows from the photo alone, given the five scales of E_f."""
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
        own: What becomes of the features that come from below.
        skip: What becomes of the structure.
    """

    def __init__(self, own: Doubling, skip: Doubling) -> None:
        super().__init__()
        self.own, self.skip = own, skip

    def prepare(self, structure: Tensor) -> Tensor:
        """The structure's share of what the layer gives."""
        return cast(Tensor, self.skip(structure))  # E_f's features are none below zero

    def forward(self, x: Tensor, known: Tensor) -> Tensor:
        """Features of the next finer scale; ``x`` is overwritten."""
        return self.own.finish(self.own(x.relu_()).add_(known))


class FusedLevel(Level):
    """One level whose structure the normals change.

    Args:
        own: What becomes of the features that come from below.
        skip: What becomes of the structure.
        fusion: What the normals do to it.
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
    if number == 0:  # the structure stands first there, and has 512 of the channels
        structure, own = weight[: -NormalEncoder.channels], weight[-NormalEncoder.channels :]
        return own, structure
    half = len(weight) // 2
    return weight[:half], weight[half:]


def _level(own: Doubling, skip: Doubling, fusion: nn.Module) -> Level:
    if isinstance(fusion, CAT) or (isinstance(fusion, AdaIN) and not fusion.matched):
        return Level(own, skip)
    kind = AdaINLevel if isinstance(fusion, AdaIN) else FusedLevel
    return kind(own, skip, deepcopy(fusion))
