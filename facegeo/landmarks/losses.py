r"""Losses of one CCNN stage, on votes.

A vote is one net's estimate of one point it sees, in *window units*: the crop runs from 0 to 1
along x and along y (CCNN, formula 9). A stage's nets are side by side along V: 5 + 3 + 3 = 11
votes in stage 1, 10 x 1 in the others. Every loss maps votes and true positions in the same
windows, which may lie outside [0, 1], both (B, V, 2), to a scalar: a **sum over votes** and a mean
over the batch, so a net's gradient does not depend on which nets are trained beside it. All raise
``ValueError`` if the two shapes do not belong together.
"""

import math
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn

from facegeo.checks import check_shape, checked_call


class HalfSquaredError(nn.Module):
    r"""Half the squared distance, in squared window units: the paper's loss.

    .. math:: E = \frac{1}{m} \sum_j \sum_v \tfrac12 \lVert y_{jv} - d_{jv} \rVert^2

    CCNN, formulas (3) and (6) without their weight penalty, which belongs to the optimizer, and
    without their 1/N: a constant for each net ("the number of nodes in the input layer"), and
    leaving it out is what keeps nets independent. ``torch.nn.MSELoss`` is this divided by V.
    """

    def forward(self, pred: Tensor, target: Tensor) -> Tensor:
        """Return the loss, shape ()."""
        _check_votes(pred, target)
        return 0.5 * (pred - target).square().sum(dim=(1, 2)).mean()


class EuclideanError(nn.Module):
    r"""Distance, in window units: 0 for perfect votes; the error that is measured.

    .. math:: E = \frac{1}{m} \sum_j \sum_v
        \left(\sqrt{\lVert y_{jv} - d_{jv} \rVert^2 + \epsilon^2} - \epsilon\right)

    Ours, not in the paper. Rounded below ``eps`` so that a perfect vote has gradient zero.

    Args:
        eps: Distance, in window units, below which the cone becomes a bowl; gradients in float32
            would be NaN below 1e-12.
    """

    @checked_call
    def __init__(self, eps: Annotated[float, Field(ge=1e-12)] = 1e-6) -> None:
        super().__init__()
        self.eps = eps

    def forward(self, pred: Tensor, target: Tensor) -> Tensor:
        """Return the loss, shape ()."""
        _check_votes(pred, target)
        squared = (pred - target).square().sum(dim=2)
        return ((squared + self.eps**2).sqrt() - self.eps).sum(dim=1).mean()


class WingLoss(nn.Module):
    r"""Wing loss of each coordinate, in window units.

    .. math:: \operatorname{wing}(e) = \begin{cases}
        w \ln(1 + |e| / \epsilon) & |e| < w \\ |e| - w + w \ln(1 + w / \epsilon) & \text{else}
        \end{cases}

    Feng et al., "Wing Loss for Robust Facial Landmark Localisation with Convolutional Neural
    Networks", CVPR 2018, where w and epsilon are pixels of the net's input; here both are in
    window units (one unit = the side of the crop). The defaults are ours.

    Args:
        width: w: below it the loss is logarithmic.
        curvature: epsilon: the smaller, the steeper near zero.
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
        """Return the loss, shape ()."""
        _check_votes(pred, target)
        error = (pred - target).abs()
        step = self.width * (1 - math.log1p(self.width / self.curvature))
        bent = self.width * torch.log1p(error / self.curvature)
        return torch.where(error < self.width, bent, error - step).sum(dim=(1, 2)).mean()


def _check_votes(pred: Tensor, target: Tensor) -> None:
    sizes: dict[str, int] = {}
    check_shape("pred", pred, "B", "V", 2, sizes=sizes)
    check_shape("target", target, "B", "V", 2, sizes=sizes)
