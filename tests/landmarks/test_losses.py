"""Losses on votes: values by hand, gradients, and nets that do not feel each other."""

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from facegeo.landmarks.losses import EuclideanError, HalfSquaredError, WingLoss

LOSSES = [HalfSquaredError(), EuclideanError(eps=1e-3), WingLoss()]
NAMES = ["half-squared", "euclidean", "wing"]
all_losses = pytest.mark.parametrize("loss", LOSSES, ids=NAMES)

# Two faces, three votes: off by (3, 4) hundredths once in the first face, by (6, 8) in the second.
TARGET = torch.tensor([[[0.2, 0.3], [0.7, 0.3], [0.5, 0.6]]]).expand(2, 3, 2)
OFFSET = torch.zeros(2, 3, 2)
OFFSET[0, 0] = torch.tensor([0.03, -0.04])
OFFSET[1, 2] = torch.tensor([0.06, 0.08])


def test_half_squared_error_by_hand() -> None:
    # 0.5 * 0.05^2 and 0.5 * 0.10^2, mean of two faces
    got = HalfSquaredError()(TARGET + OFFSET, TARGET)
    torch.testing.assert_close(got, torch.tensor(0.5 * (0.0025 + 0.01) / 2))


def test_euclidean_error_by_hand() -> None:
    got = EuclideanError()(TARGET + OFFSET, TARGET)
    # eps = 1e-6 may take that much off each vote
    torch.testing.assert_close(got, torch.tensor((0.05 + 0.10) / 2), rtol=0, atol=3e-6)


def test_wing_error_by_hand() -> None:
    width, curvature = 0.05, 0.01
    bent = [width * math.log(1 + error / curvature) for error in (0.03, 0.04)]
    constant = width - width * math.log(1 + width / curvature)
    straight = [error - constant for error in (0.06, 0.08)]
    got = WingLoss(width, curvature)(TARGET + OFFSET, TARGET)
    torch.testing.assert_close(got, torch.tensor((sum(bent) + sum(straight)) / 2))


def test_wing_has_no_step_at_its_width() -> None:
    target = torch.zeros(1, 1, 2, dtype=torch.float64)
    pred = torch.tensor([[[0.1, 0.0]]], dtype=torch.float64)
    below, above = (WingLoss()(pred + step, target) for step in (-1e-9, 1e-9))
    assert 0 < float(above - below) < 2e-7


@all_losses
def test_perfect_votes_have_zero_loss_and_almost_no_gradient(loss: nn.Module) -> None:
    pred = TARGET.clone().requires_grad_()
    value = loss(pred, TARGET)
    value.backward()
    torch.testing.assert_close(value.detach(), torch.tensor(0.0))
    assert pred.grad is not None
    assert torch.isfinite(pred.grad).all()
    torch.testing.assert_close(pred.grad, torch.zeros_like(pred))


@all_losses
def test_gradients_agree_with_differences(loss: nn.Module) -> None:
    generator = torch.Generator().manual_seed(0)
    pred = torch.rand(3, 4, 2, dtype=torch.float64, generator=generator, requires_grad=True)
    target = torch.rand(3, 4, 2, dtype=torch.float64, generator=generator)
    assert torch.autograd.gradcheck(lambda p: loss(p, target), (pred,))


@all_losses
def test_a_votes_gradient_depends_only_on_its_own_error(loss: nn.Module) -> None:
    def gradient(votes: slice) -> Tensor:
        pred = (TARGET + OFFSET)[:, votes].clone().requires_grad_()
        (grad,) = torch.autograd.grad(loss(pred, TARGET[:, votes]), pred)
        return grad

    torch.testing.assert_close(gradient(slice(None))[:, 2:], gradient(slice(2, None)))


@all_losses
def test_batch_of_two_is_the_mean_of_its_faces(loss: nn.Module) -> None:
    pred = TARGET + OFFSET
    alone = torch.stack([loss(pred[i : i + 1], TARGET[i : i + 1]) for i in (0, 1)])
    torch.testing.assert_close(loss(pred, TARGET), alone.mean())


@all_losses
@pytest.mark.parametrize(
    ("pred", "target", "message"),
    [
        ((2, 3), (2, 3, 2), r"pred must have shape \(B, V, 2\), got \(2, 3\)"),
        ((2, 3, 2), (2, 1, 2), r"target must have shape \(2, 3, 2\), got \(2, 1, 2\)"),
        ((2, 3, 2), (1, 3, 2), r"target must have shape \(2, 3, 2\), got \(1, 3, 2\)"),
    ],
    ids=["flat", "broadcast-votes", "broadcast-batch"],
)
def test_shapes_that_would_broadcast_are_refused(
    loss: nn.Module, pred: tuple[int, ...], target: tuple[int, ...], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        loss(torch.zeros(pred), torch.zeros(target))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: EuclideanError(eps=0.0), "eps\n.*=0.0"),
        (lambda: WingLoss(width=-1.0), "width\n.*=-1.0"),
        (lambda: WingLoss(curvature=0.0), "curvature\n.*=0.0"),
    ],
    ids=["eps", "width", "curvature"],
)
def test_options_out_of_range_are_refused(make: Callable[[], nn.Module], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()
