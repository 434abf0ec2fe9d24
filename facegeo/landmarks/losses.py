r"""Losses of one CCNN stage, on votes.

A vote is one net's estimate of one point it sees, in *window units*: the crop runs from 0 to 1
along x and along y (CCNN, formula 9). A stage's nets are side by side along V: 5 + 3 + 3 = 11
votes in stage 1, 10 x 1 in the others. Every loss is a **sum over votes** and a mean over the
batch, so a net's gradient does not depend on which nets are trained beside it.
"""

import math
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn

from facegeo.checks import check_shape, checked_call


def half_squared_error(pred: Tensor, target: Tensor) -> Tensor:
    r"""Half the squared distance, summed over votes, mean over the batch.

    .. math:: E = \frac{1}{m} \sum_j \sum_v \tfrac12 \lVert y_{jv} - d_{jv} \rVert^2

    CCNN, formulas (3) and (6) without their weight penalty, which belongs to the optimizer, and
    without their 1/N: a constant for each net ("the number of nodes in the input layer"), and
    leaving it out is what keeps nets independent. ``torch.nn.MSELoss`` is this divided by V.

    Args:
        pred: Votes in window units, shape (B, V, 2), float, (x, y).
        target: True positions in the same windows, same shape; may lie outside [0, 1].

    Returns:
        The loss, shape (), in squared window units.

    Raises:
        ValueError: If the two shapes do not belong together.
    """
    _check_votes(pred, target)
    return 0.5 * (pred - target).square().sum(dim=(1, 2)).mean()


def euclidean_error(pred: Tensor, target: Tensor, eps: float = 1e-6) -> Tensor:
    r"""Distance, summed over votes, mean over the batch; the error that is measured.

    .. math:: E = \frac{1}{m} \sum_j \sum_v
        \left(\sqrt{\lVert y_{jv} - d_{jv} \rVert^2 + \epsilon^2} - \epsilon\right)

    Ours, not in the paper. Rounded below ``eps`` so that a perfect vote has gradient zero.

    Args:
        pred: Votes in window units, shape (B, V, 2), float, (x, y).
        target: True positions in the same windows, same shape.
        eps: Distance, in window units, below which the cone becomes a bowl; above 0.

    Returns:
        The loss, shape (), in window units: 0 for perfect votes, never above the distance.

    Raises:
        ValueError: If the two shapes do not belong together.
    """
    _check_votes(pred, target)
    squared = (pred - target).square().sum(dim=2)
    return ((squared + eps**2).sqrt() - eps).sum(dim=1).mean()


def wing_error(pred: Tensor, target: Tensor, width: float = 0.1, curvature: float = 0.02) -> Tensor:
    r"""Wing loss of each coordinate, summed over votes, mean over the batch.

    .. math:: \operatorname{wing}(e) = \begin{cases}
        w \ln(1 + |e| / \epsilon) & |e| < w \\ |e| - w + w \ln(1 + w / \epsilon) & \text{else}
        \end{cases}

    Feng et al., "Wing Loss for Robust Facial Landmark Localisation with Convolutional Neural
    Networks", CVPR 2018, where w and epsilon are pixels of the net's input; here both are in
    window units (one unit = the side of the crop). The defaults are ours.

    Args:
        pred: Votes in window units, shape (B, V, 2), float, (x, y).
        target: True positions in the same windows, same shape.
        width: w, in window units: below it the loss is logarithmic.
        curvature: epsilon, in window units: the smaller, the steeper near zero.

    Returns:
        The loss, shape (), in window units.

    Raises:
        ValueError: If the two shapes do not belong together.
    """
    _check_votes(pred, target)
    error = (pred - target).abs()
    step = width * (1 - math.log1p(width / curvature))
    loss = torch.where(error < width, width * torch.log1p(error / curvature), error - step)
    return loss.sum(dim=(1, 2)).mean()


class HalfSquaredError(nn.Module):
    """The paper's loss: ``half_squared_error`` as a module."""

    def forward(self, pred: Tensor, target: Tensor) -> Tensor:
        """Return the loss, shape (), of votes and truth, both (B, V, 2) in window units."""
        return half_squared_error(pred, target)


class EuclideanError(nn.Module):
    """``euclidean_error`` as a module.

    Args:
        eps: Rounding of the tip, in window units.

    Raises:
        ValueError: If ``eps`` is below 1e-12, where float gradients would be NaN.
    """

    @checked_call
    def __init__(self, eps: Annotated[float, Field(ge=1e-12)] = 1e-6) -> None:
        super().__init__()
        self.eps = eps

    def forward(self, pred: Tensor, target: Tensor) -> Tensor:
        """Return the loss, shape (), of votes and truth, both (B, V, 2) in window units."""
        return euclidean_error(pred, target, self.eps)


class WingLoss(nn.Module):
    """``wing_error`` as a module.

    Args:
        width: w, in window units.
        curvature: epsilon, in window units.

    Raises:
        ValueError: If either is below 1e-6.
    """

    @checked_call
    def __init__(
        self,
        width: Annotated[float, Field(ge=1e-6)] = 0.1,
        curvature: Annotated[float, Field(ge=1e-6)] = 0.02,
    ) -> None:
        super().__init__()
        self.width, self.curvature = width, curvature

    def forward(self, pred: Tensor, target: Tensor) -> Tensor:
        """Return the loss, shape (), of votes and truth, both (B, V, 2) in window units."""
        return wing_error(pred, target, self.width, self.curvature)


def _check_votes(pred: Tensor, target: Tensor) -> None:
    sizes: dict[str, int] = {}
    check_shape("pred", pred, "B", "V", 2, sizes=sizes)
    check_shape("target", target, "B", "V", 2, sizes=sizes)
