"""Losses of normals on every stage of the cascade (Cas-FNE, Eqs. 5 to 7).

Each is a mean over a face's pixels, then over the faces of the batch, so that a batch of two is
the mean of its faces. Computed in float32 whatever autocast says. A face without a pixel in its
mask costs zero and has zero gradient. All take

- ``stages``: predicted normals of each stage, shape (B, 3, H, W), x right, y up, z to the camera,
  unit vectors (``CosineLoss``: any length > 0);
- ``normal``: true normals, same shape and frame, unit vectors inside the mask;
- ``mask``: face pixels, bool, shape (B, 1, H, W)

and return the sum over stages, shape (), float32. They raise ``ValueError`` if there is no stage or
the shapes do not belong together.
"""

from collections.abc import Sequence

import torch
from pydantic import PositiveFloat
from torch import Tensor, nn
from torch.nn.functional import softplus

from facegeo.checks import check_shape

WHITE_NORMAL = (3**-0.5, -(3**-0.5), 3**-0.5)
"""Photoface's white background read as a unit normal, in our frame."""


class CosineLoss(nn.Module):
    r"""How far the predicted normals of all stages turn away from the true ones.

    .. math:: L_{rec} = \sum_{s=0}^{t} 1 - \overline{\cos(\hat N_s, N)}

    Cas-FNE, Eq. (5), whose CosLoss we read as one minus the mean cosine.

    Args:
        masked: Take the mean over the mask. False takes it over all pixels, as the published
            code does; the truth outside the mask is then ``WHITE_NORMAL``, as it is there.
        growth: Weight of each stage over that of the one before it; ours. The first has weight 1.
    """

    def __init__(self, *, masked: bool = True, growth: PositiveFloat = 1.0) -> None:
        super().__init__()
        self.masked, self.growth = masked, growth

    def forward(self, stages: Sequence[Tensor], normal: Tensor, mask: Tensor) -> Tensor:
        """Return the loss, in [0, 2 * number of stages] if all weights are 1."""
        _check(stages, mask)
        check_shape("normal", normal, len(mask), 3, *mask.shape[2:])
        truth = normal.float()
        if not self.masked:
            white = truth.new_tensor(WHITE_NORMAL)[:, None, None]
            truth, mask = torch.where(mask, truth, white), torch.ones_like(mask)
        total = truth.new_zeros(())
        for number, stage in enumerate(stages):
            pred = torch.where(mask, stage.float(), 0)  # pixels outside send no gradient
            squared = pred.square().sum(dim=1, keepdim=True).clamp(min=1e-8)
            cosine = (pred * truth).sum(dim=1, keepdim=True) * squared.rsqrt()
            total = total + self.growth**number * _face_mean((1 - cosine) * mask, mask).mean()
        return total


class TotalVariationLoss(nn.Module):
    r"""How much the predicted normals of all stages change from pixel to pixel.

    .. math:: L_{tv} = \frac{1}{M} \sum_{s=0}^{t} \sum_{x, y}
        \lVert \nabla (\hat N_s(x, y) / 2 + 0.5) \rVert_1

    Cas-FNE, Eq. (6), with differences to the right and the lower neighbour, summed over channels.

    Args:
        masked: Count differences between two pixels of the mask and let M be its pixels. False
            counts all pixels.
        mean_over_batch: False sums over the faces, as the published code does: with batch 8 and
            weight 1e-3 it weighs eight times as much as it seems to.
    """

    def __init__(self, *, masked: bool = True, mean_over_batch: bool = True) -> None:
        super().__init__()
        self.masked, self.mean_over_batch = masked, mean_over_batch

    def forward(self, stages: Sequence[Tensor], mask: Tensor) -> Tensor:
        """Return the loss."""
        _check(stages, mask)
        inside = mask if self.masked else torch.ones_like(mask)
        total = torch.zeros((), device=mask.device)
        for stage in stages:
            colours = torch.where(inside, stage.float(), 0) / 2
            faces = _variation(colours, inside)
            total = total + (faces.mean() if self.mean_over_batch else faces.sum())
        return total


class NormalDifferenceLoss(nn.Module):
    r"""How far the changes from pixel to pixel are from the true ones, on all stages.

    .. math:: L_{diff} = \frac{1}{M} \sum_{s=0}^{t} \sum_{x, y}
        \lVert \nabla \hat N_s(x, y) - \nabla N(x, y) \rVert_1

    Differences to the right and the lower neighbour, both in the mask, summed over channels. Not in
    the paper: networks for human normals are trained so since, for the sake of fine shape.
    """

    def forward(self, stages: Sequence[Tensor], normal: Tensor, mask: Tensor) -> Tensor:
        """Return the loss."""
        _check(stages, mask)
        check_shape("normal", normal, len(mask), 3, *mask.shape[2:])
        truth = normal.float()
        total = truth.new_zeros(())
        for stage in stages:
            error = torch.where(mask, stage.float() - truth, 0)
            total = total + _variation(error, mask).mean()
        return total


def _variation(maps: Tensor, mask: Tensor) -> Tensor:
    """Absolute differences between neighbours in the mask, over its pixels, shape (B,)."""
    right = maps.diff(dim=3).abs() * (mask[..., 1:] & mask[..., :-1])
    down = maps.diff(dim=2).abs() * (mask[..., 1:, :] & mask[..., :-1, :])
    return _face_mean(right, mask) + _face_mean(down, mask)


def _face_mean(values: Tensor, mask: Tensor) -> Tensor:
    """Sum of each face's values (B, C, h, w) over its mask pixels (B, 1, H, W), shape (B,)."""
    return values.sum(dim=(1, 2, 3)) / mask.sum(dim=(1, 2, 3)).clamp(min=1)


def _check(stages: Sequence[Tensor], mask: Tensor) -> None:
    if not stages:
        raise ValueError("stages must hold at least one normal map, got none")
    sizes: dict[str, int] = {}
    check_shape("mask", mask, "B", 1, "H", "W", sizes=sizes)
    for number, stage in enumerate(stages):
        check_shape(f"stage {number}", stage, "B", 3, "H", "W", sizes=sizes)


class AdversarialLoss:
    r"""Binary cross entropy with logits, for generator and discriminator.

    .. math:: L_{adv} = \sum_{s=0}^{t} D_{adv}(\hat N_s)

    Cas-FNE, Eq. (7), names neither the cost nor the discriminator's training; both are
    ours: the original one of Goodfellow et al., 2014, the generator's in its non-saturating form.
    Every patch weighs the same. Without a stage, both raise ``ValueError``.
    """

    def discriminator(self, real_logits: Tensor, fake_logits: Sequence[Tensor]) -> Tensor:
        """Return the discriminator's loss: real as real plus the mean over fake stages.

        Args:
            real_logits: Its answer to true normals, shape (B, 1, h, w); above 0 means "real".
            fake_logits: Its answers to each stage's detached normals, same shape each.

        Returns:
            The loss, shape (), float32; 2 ln 2 for a discriminator that guesses.
        """
        return _cost(real_logits, real=True) + _costs(fake_logits, real=False).mean()

    def generator(self, fake_logits: Sequence[Tensor]) -> Tensor:
        """Return the generator's loss: each stage taken for real, summed over stages.

        Args:
            fake_logits: The discriminator's answers to each stage's normals, shape (B, 1, h, w).

        Returns:
            The loss, shape (), float32; ln 2 per stage if the discriminator guesses.
        """
        return _costs(fake_logits, real=True).sum()


def _costs(logits: Sequence[Tensor], *, real: bool) -> Tensor:
    if not logits:
        raise ValueError("fake_logits must hold at least one stage, got none")
    return torch.stack([_cost(stage, real=real) for stage in logits])


def _cost(logits: Tensor, *, real: bool) -> Tensor:
    """Cross entropy of logits with one label: -ln sigmoid(x), or -ln (1 - sigmoid(x))."""
    wide = logits.float()
    return softplus(-wide if real else wide).mean()
