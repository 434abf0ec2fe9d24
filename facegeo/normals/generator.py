"""Cas-FNE: encoder, shared block, fusion, discriminator.

Cas-FNE, Sec. V-4, compares three ways and describes them in one line: "the feature modulation
module [71]" (StyleGAN2) and "AdaIN [72]", beside the concatenation (CAT) of Eq. (3). Where they
are and which features change which is not said. Our reading: at every scale the normals are the
prior that modulates the structure features, which then are concatenated as before. So the decoder
keeps its widths, and AdaIN its 29.3 M parameters of Table IV; FMM has fewer than printed there.

Wang, Zhang, Ma, Guo: Cas-FNE, IEEE/CAA JAS 11(12), 2024, Sec. III-B and Fig. 2. Details
that the text leaves open (widths, biases, places of ReLUs) are as in the authors' network.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any, cast

import torch
import torch.nn.functional as F  # noqa: N812  torch's own habit
from torch import Tensor, nn

from facegeo.checks import check_shape
from facegeo.geometry.normals import normalise
from facegeo.normals.export import NormalsModel
from facegeo.papers import paper_values
from facegeo.training.resnet import CHANNELS, ResNet
from facegeo.training.wing import Costs, Profile


def to_normals(x: Tensor, added: Tensor | None = None) -> Tensor:
    """Unit vectors in float32, whatever the layers computed in, from (B, 3, H, W) of any length.

    Args:
        x: Output of a last layer.
        added: Normals that it corrects, if it does not stand for itself.
    """
    found = torch.tanh(x.float())
    return normalise(found if added is None else found + added, eps=1e-6)


def face_camera(layer: nn.Conv2d | nn.ConvTranspose2d) -> None:
    """Let a last layer's first guess point to the camera, by a bias of (0, 0, 1).

    Ours: no paper says how it begins. Where chance lets some of the weights of a transposed
    convolution begin on the far side of the sphere, a cosine's gradient vanishes, and a lattice of
    pixels stays there (experiments/casfne/generated.md).
    """
    if layer.bias is not None:
        with torch.no_grad():
            layer.bias.copy_(torch.tensor([0.0, 0.0, 1.0]))


def check_one_stage(image: Tensor, t: int | None, stride: int) -> None:
    """Check the arguments of a generator without refinements.

    Args:
        image: Shape (B, 3, H, W).
        t: Refinements asked for; None: as many as it has.
        stride: H and W must be multiples of it.

    Raises:
        ValueError: If the shape is another, or refinements are wanted.
    """
    if t not in (None, 0):
        raise ValueError(f"t must be 0, got {t}: this generator has one stage, no refinements")
    check_shape("image", image, "B", 3, "H", "W")
    if image.shape[-2] % stride or image.shape[-1] % stride:
        raise ValueError(
            f"image must have sides that are multiples of {stride}, got {tuple(image.shape)}"
        )


EPS = 1e-5
MakeFusion = Callable[[int, int], nn.Module]
"""Builds the fusion of one scale from the channels of normals and structure, N and S.

The module maps their features, (B, N, h, w) and (B, S, h, w), to structure (B, S, h, w).
"""


class CAT(nn.Module):
    """The structure stays as it is (Eq. 3).

    Args:
        normal: Channels of the normals' features, N.
        structure: Channels of the structure's features, S.
    """

    def __init__(self, normal: int, structure: int) -> None:
        super().__init__()

    def forward(self, normal: Tensor, structure: Tensor) -> Tensor:
        """Return ``structure``."""
        return structure


class AdaIN(nn.Module):
    """Each channel of the structure takes on mean and deviation of that of the normals.

    Huang, Belongie 2017, Eq. (8). It has no parameters, so it needs as many channels on both
    sides: the coarsest scale, with 256 and 512, stays as it is.

    Args:
        normal: Channels of the normals' features, N.
        structure: Channels of the structure's features, S.
    """

    def __init__(self, normal: int, structure: int) -> None:
        super().__init__()
        self.matched = normal == structure

    def forward(self, normal: Tensor, structure: Tensor) -> Tensor:
        """Change structure (B, S, h, w) by the normals' features (B, N, h, w)."""
        if not self.matched:
            return structure
        mean, deviation = statistics(normal)
        own_mean, own_deviation = statistics(structure)
        styled = (structure.float() - own_mean) / own_deviation * deviation + mean
        return styled.to(structure.dtype)


class FMM(nn.Module):
    """The structure passes a 3x3 convolution whose weights the normals scale.

    Karras et al. 2020 (StyleGAN2), Eqs. (1) and (3): weights of an input channel are multiplied by
    its style, an affine function of the normals' channel means, and those of an output channel
    divided by their norm. Written as a scaling of inputs and outputs, which is the same.

    Args:
        normal: Channels of the normals' features, N.
        structure: Channels of the structure's features, S.
    """

    def __init__(self, normal: int, structure: int) -> None:
        super().__init__()
        self.style = nn.Linear(normal, structure)
        nn.init.ones_(self.style.bias)
        self.conv = nn.Conv2d(structure, structure, 3, 1, 1, bias=False)

    def forward(self, normal: Tensor, structure: Tensor) -> Tensor:
        """Change structure (B, S, h, w) by the normals' features (B, N, h, w)."""
        style: Tensor = self.style(normal.mean(dim=(2, 3)))
        power = self.conv.weight.float().square().sum(dim=(2, 3))
        scale = (style.float().square() @ power.T + EPS).rsqrt()[..., None, None]
        convolved: Tensor = self.conv(structure * style[..., None, None])
        return convolved * scale.to(convolved.dtype)


def statistics(features: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and deviation of each image's channels, both (B, C, 1, 1), float32."""
    variance, mean = torch.var_mean(features.float(), dim=(2, 3), correction=0, keepdim=True)
    return mean, (variance + EPS).sqrt()


WIDTH = 32
"""Channels of D_n and of E_cn's first layer."""
Features = tuple[Tensor, ...]
"""E_f's five scales, finest first."""


class InitialDecoder(nn.Module):
    """D_n: from structure features to the first normals (Eq. 4).

    Args:
        head_kernel: 3: transposed 3x3 convolution as published; 1: the 1x1 of the paper's text.

    Raises:
        ValueError: If ``head_kernel`` is another.
    """

    def __init__(self, head_kernel: int = 3) -> None:
        super().__init__()
        if head_kernel not in (1, 3):
            raise ValueError(f"head_kernel must be 1 or 3, got {head_kernel}")
        finest, *coarser = CHANNELS
        inputs = [coarser.pop(), *(WIDTH + c for c in (*reversed(coarser), finest))]
        self.deconvs = nn.ModuleList(_double(channels, WIDTH) for channels in inputs)
        self.norms = nn.ModuleList(nn.BatchNorm2d(WIDTH) for _ in inputs)
        self.head: nn.Conv2d | nn.ConvTranspose2d = nn.Conv2d(WIDTH, 3, 1)
        if head_kernel == 3:
            self.head = nn.ConvTranspose2d(WIDTH, 3, 3, 1, 1)
        face_camera(self.head)

    def forward(self, structure: Features) -> Tensor:
        """Unit normals (B, 3, H, W) from the five scales of E_f."""
        *skips, x = structure
        for deconv, norm in zip(self.deconvs, self.norms, strict=True):
            x = norm(deconv(x))
            if skips:
                x = F.relu(torch.cat((x, skips.pop()), dim=1))
        return to_normals(self.head(x))


class NormalEncoder(nn.Module):
    """E_cn: from normals to features at 1/2 to 1/32 of the side.

    Args:
        gain: First scale of a batch norm behind the last layer, which the paper does not have;
            None: no batch norm.
    """

    channels = (WIDTH, 2 * WIDTH, 4 * WIDTH, 8 * WIDTH, 8 * WIDTH)

    def __init__(self, gain: float | None = None) -> None:
        super().__init__()
        widths = (3, *self.channels)
        self.convs = nn.ModuleList(nn.Conv2d(*pair, 4, 2, 1) for pair in pairwise(widths))
        self.norms = nn.ModuleList(nn.BatchNorm2d(width) for width in widths[2:5])
        self.last_norm: nn.Module = nn.Identity()
        if gain is not None:
            self.last_norm = nn.BatchNorm2d(widths[-1])
            nn.init.constant_(self.last_norm.weight, gain)

    def forward(self, normals: Tensor) -> Features:
        """Map (B, 3, H, W) to five scales, finest first, the coarsest (B, 256, H / 32, W / 32)."""
        first, *others = self.convs
        found = [first(normals)]
        for conv, norm in zip(others, (*self.norms, self.last_norm), strict=True):
            found.append(norm(conv(F.leaky_relu_(found[-1], 0.2))))
        return tuple(found)


class RefiningDecoder(nn.Module):
    """D_cn: from the features of normals and structure to better normals (Eq. 3).

    Args:
        fusion: Builds the fusion of one scale.
        every_scale: See ``CasFNE``.
    """

    def __init__(self, fusion: MakeFusion, *, every_scale: bool = False) -> None:
        super().__init__()
        widths = (8 * WIDTH, 8 * WIDTH, 4 * WIDTH, 2 * WIDTH, 2 * WIDTH)
        skips = tuple(reversed(CHANNELS))
        outputs = (*widths[1:], 3)
        *finer, _ = NormalEncoder.channels if every_scale else (0,) * len(widths)
        self.own = (0, *reversed(finer))
        """Channels of E_cn's features that come in beside those from below, coarsest first."""
        self.fusions = nn.ModuleList(map(fusion, widths, skips))
        self.deconvs = nn.ModuleList(
            _double(width + own + skip, out)
            for width, own, skip, out in zip(widths, self.own, skips, outputs, strict=True)
        )
        self.norms = nn.ModuleList(nn.BatchNorm2d(out) for out in outputs[:-1])

    def forward(self, features: Features, structure: Features) -> Tensor:
        """Vectors (B, 3, H, W) of any length from the five scales of E_cn and of E_f."""
        x = features[-1]
        norms = (*self.norms, nn.Identity())
        levels = zip(reversed(features), reversed(structure), self.own, strict=True)
        layers = zip(self.fusions, self.deconvs, norms, levels, strict=True)
        for fuse, deconv, norm, (normal, skip, own) in layers:
            fused = fuse(x, skip)
            # The published network has the structure first at the coarsest scale, last elsewhere.
            parts = (fused, x) if x is normal else (x, *([normal] if own else []), fused)
            x = norm(deconv(F.relu(torch.cat(parts, dim=1))))
        return x


class CascadedBlock(nn.Module):
    """One refinement: encode the normals so far, decode them with the structure (Fig. 2).

    All options but ``fusion`` are readings of our own, see ``CasFNE``.

    Args:
        fusion: Builds the fusion of one scale.
        gain: See ``NormalEncoder``.
        every_scale: See ``CasFNE``, as the others.
        structure_dropout: The same.
        detach: The same.
        residual: The same.
    """

    def __init__(
        self,
        fusion: MakeFusion,
        *,
        gain: float | None = None,
        every_scale: bool = False,
        structure_dropout: float = 0.0,
        detach: bool = False,
        residual: bool = False,
    ) -> None:
        super().__init__()
        self.encoder = NormalEncoder(gain)
        self.decoder = RefiningDecoder(fusion, every_scale=every_scale)
        self.structure_dropout = structure_dropout
        self.detach, self.residual = detach, residual
        head = cast(nn.ConvTranspose2d, self.decoder.deconvs[-1])
        if residual:
            nn.init.zeros_(cast(Tensor, head.bias))  # a correction begins near none
        else:
            face_camera(head)

    def prepare(self, structure: Features) -> Features:
        """Return ``structure``: nothing is computed before the refinements."""
        return structure

    def forward(self, normals: Tensor, structure: Features) -> Tensor:
        """Better unit normals, (B, 3, H, W) as those given."""
        if self.detach:
            normals = normals.detach()
        if self.structure_dropout and self.training:
            structure = tuple(map(self._drop_images, structure))
        found = self.decoder(self.encoder(normals), structure)
        return to_normals(found, normals if self.residual else None)

    def _drop_images(self, scale: Tensor) -> Tensor:
        kept = F.dropout(scale.new_ones(len(scale), 1, 1, 1), self.structure_dropout)
        return scale * kept


class Stages(NormalsModel):
    """Forward pass of ``CasFNE`` and of its fast form, which set the attributes.

    Attributes:
        encoder: Maps images to the five scales of E_f.
        initial: Maps these to the first normals.
        block: Refines normals, ``block(normals, block.prepare(structure))``; None: cannot refine.
    """

    encoder: ResNet
    initial: nn.Module
    block: nn.Module | None

    def forward(self, image: Tensor, t: int | None = None) -> tuple[Tensor, ...]:
        """Estimate normals; the image is encoded once however large ``t`` is.

        Args:
            image: RGB in [0, 1], shape (B, 3, H, W), H and W multiples of 32.
            t: Refinements, by default ``self.t``.

        Returns:
            The t + 1 normal maps from the initial to the last, each (B, 3, H, W), float32, unit
            length, x right, y up, z to the camera (if trained in that frame).

        Raises:
            ValueError: If the image has another shape, or ``t`` is negative, or at least 1 for a
                model that was built with 0.
        """
        t = self.t if t is None else t
        if t < 0 or (t and self.block is None):
            reason = "; built with t=0 it has no cascaded block" if self.block is None else ""
            raise ValueError(f"t must be at least 0, got {t}{reason}")
        structure = self.encoder(image)
        stages = [self.initial(structure)]
        known = cast(Any, self.block).prepare(structure) if t else None
        for _ in range(t):
            stages.append(cast(nn.Module, self.block)(stages[-1], known))
        return tuple(stages)

    def refine(self, image: Tensor, normals: Tensor) -> Tensor:
        """Refine given normals once, instead of the initial ones.

        Args:
            image: As ``forward`` takes it.
            normals: Unit vectors, (B, 3, H, W).

        Returns:
            Unit normals, (B, 3, H, W), float32.

        Raises:
            ValueError: If the model was built without refinements.
        """
        if self.block is None:
            raise ValueError("this model was built with t=0: it has no cascaded block")
        known = cast(Any, self.block).prepare(self.encoder(image))
        return cast(Tensor, self.block(normals, known))


class CasFNE(Stages):
    """The cascade: structure once, initial normals, then ``t`` refinements by one block.

    18,102,758 parameters for every t >= 1, 11,767,683 for t = 0.

    Args:
        t: Refinements of a forward pass; the paper's main model has 2. With 0 no cascaded block
            is built. A model trained with some ``t`` >= 1 can be run with any other.
        fusion: Builds the fusion of one scale: CAT (the paper's choice), AdaIN or FMM.
        head_kernel: See ``InitialDecoder``.
        imagenet_norm: See ``ResNet``.
        normals_gain: Our reading, as all that follow: E_cn's last features pass a batch norm
            with this first scale before they meet those of the photo. None: no norm.
        every_scale: D_cn gets E_cn's features at all five scales, not only at the coarsest.
        structure_dropout: In training, each scale of the photo's features is hidden from the
            block with this probability, for each image by itself.
        detach: No gradient flows from a refinement into the normals before it.
        residual: A refinement is a correction, which is added to the normals before it.

    Raises:
        ValueError: If a value is out of range.
    """

    initial: InitialDecoder
    block: CascadedBlock | None

    def __init__(
        self,
        t: int = 2,
        fusion: MakeFusion = CAT,
        *,
        head_kernel: int = 3,
        imagenet_norm: bool = False,
        normals_gain: float | None = None,
        every_scale: bool = False,
        structure_dropout: float = 0.0,
        detach: bool = False,
        residual: bool = False,
    ) -> None:
        super().__init__()
        if t < 0:
            raise ValueError(f"t must be at least 0, got {t}")
        if not 0 <= structure_dropout < 1:
            raise ValueError(f"structure_dropout must be in [0, 1), got {structure_dropout}")
        if normals_gain is not None and normals_gain <= 0:
            raise ValueError(f"normals_gain must be above 0, got {normals_gain}")
        self.t = t
        self.encoder = ResNet(18, imagenet_norm=imagenet_norm)
        self.initial = InitialDecoder(head_kernel)
        self.block = None
        if t:
            self.block = CascadedBlock(
                fusion,
                gain=normals_gain,
                every_scale=every_scale,
                structure_dropout=structure_dropout,
                detach=detach,
                residual=residual,
            )

    def fast_form(self, doubling: str = "transposed") -> nn.Module:
        """Build a network with equal outputs that computes faster: see ``fast_generator``."""
        from facegeo.normals.fast import fast_generator

        return fast_generator(self, doubling)

    def costs(self) -> Costs:
        """Parameters and multiplications for one image of 256x256: ``t0``, ``t1``, ..."""
        from facegeo.normals.cost import generator_costs

        counted = generator_costs(self)
        return {f"t{one.t}": {"parameters": one.parameters, "macs": one.macs} for one in counted}

    def profile(self) -> Profile:
        """Costs by number of refinements, beside the paper's Table IV."""
        from facegeo.normals.cost import generator_tables, profile_generator

        printed = paper_values("casfne.table4_cost") or {}
        return profile_generator(self), generator_tables(self, printed)


def _double(channels: int, out: int) -> nn.ConvTranspose2d:
    """A layer that doubles the side."""
    return nn.ConvTranspose2d(channels, out, 4, 2, 1)


DISCRIMINATOR_CHANNELS = (64, 128, 256, 512)


class PatchDiscriminator(nn.Module):
    """Looks at a normal map and answers for each of its patches (D_adv of Eq. 7).

    The paper prints no layers; these are the published network's, under its keys. 1,559,169
    parameters.
    """

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for before, after in zip(
            (3, *DISCRIMINATOR_CHANNELS), DISCRIMINATOR_CHANNELS, strict=False
        ):
            layers.append(nn.Conv2d(before, after, 3, 2, 1))
            if before != 3:
                layers.append(nn.InstanceNorm2d(after))
            layers.append(nn.LeakyReLU(0.2, inplace=True))
        # One row and column before the even map: a 4x4 kernel then leaves its size as it is.
        layers += [
            nn.ZeroPad2d((1, 0, 1, 0)),
            nn.Conv2d(DISCRIMINATOR_CHANNELS[-1], 1, 4, padding=1),
        ]
        self.model = nn.Sequential(*layers)

    def forward(self, normals: Tensor) -> Tensor:
        """Judge normal maps.

        Args:
            normals: Shape (B, 3, H, W), H and W multiples of 32.

        Returns:
            Logits, positive for true, shape (B, 1, H / 16, W / 16).

        Raises:
            ValueError: If the shape is another.
        """
        check_shape("normals", normals, "B", 3, "H", "W")
        return cast(Tensor, self.model(normals))
