"""The adversarial loss: values by hand, who pulls where, huge logits."""

import math

import pytest
import torch

from facegeo.normals.losses import AdversarialLoss

LOSS = AdversarialLoss()


def logits(*values: float) -> torch.Tensor:
    return torch.tensor(values).view(1, 1, 1, -1)


def cross_entropy(probability: float) -> float:
    return -math.log(probability)


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))


def test_discriminator_by_hand() -> None:
    got = LOSS.discriminator(logits(2.0, 0.0), [logits(1.0, -1.0), logits(0.5, 0.5)])
    real = (cross_entropy(sigmoid(2)) + cross_entropy(0.5)) / 2
    first = (cross_entropy(1 - sigmoid(1)) + cross_entropy(1 - sigmoid(-1))) / 2
    second = cross_entropy(1 - sigmoid(0.5))
    torch.testing.assert_close(got, torch.tensor(real + (first + second) / 2))


def test_generator_sums_over_stages() -> None:
    got = LOSS.generator([logits(1.0, -1.0), logits(0.5, 0.5)])
    first = (cross_entropy(sigmoid(1)) + cross_entropy(sigmoid(-1))) / 2
    torch.testing.assert_close(got, torch.tensor(first + cross_entropy(sigmoid(0.5))))


def test_both_sides_pull_in_opposite_directions() -> None:
    real, fake = logits(0.3).requires_grad_(), logits(-0.2).requires_grad_()
    of_real, of_fake = torch.autograd.grad(LOSS.discriminator(real, [fake]), (real, fake))
    (wish,) = torch.autograd.grad(LOSS.generator([fake]), fake)
    assert of_real < 0 < of_fake
    assert wish < 0


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_huge_logits_stay_finite_and_in_float32(dtype: torch.dtype) -> None:
    wild = logits(3e4, -3e4).to(dtype).requires_grad_()
    loss = LOSS.discriminator(wild, [wild]) + LOSS.generator([wild, wild])
    loss.backward()
    assert loss.dtype == torch.float32
    # each term is the mean of 0 and 3e4 (29952 in bfloat16), and there are four
    assert loss.item() == pytest.approx(6e4, rel=5e-3)
    assert wild.grad is not None
    assert wild.grad.isfinite().all()


def test_no_stage_is_refused() -> None:
    with pytest.raises(ValueError, match="fake_logits must hold at least one stage, got none"):
        LOSS.generator([])
