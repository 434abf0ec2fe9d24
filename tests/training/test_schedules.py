import math
from collections.abc import Callable
from itertools import pairwise

import pytest
import torch
from torch.optim.lr_scheduler import LRScheduler

from facegeo.training.schedules import cosine, exponential


def rates(
    make: Callable[..., LRScheduler], count: int, steps: int, **options: float
) -> list[float]:
    """Learning rate of each of ``count`` steps, from a rate of 1."""
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(()))], lr=1.0)
    scheduler = make(optimizer, steps=steps, **options)
    seen = []
    for _ in range(count):
        seen.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return seen


def test_the_printed_decay_reaches_one_per_cent_after_4371_steps() -> None:
    seen = rates(exponential, 4372, steps=10, rate=0.9, every=100)
    assert seen[0] == 1
    assert seen[1] == pytest.approx(0.9 ** (1 / 100))
    assert seen[100] == pytest.approx(0.9)
    assert seen[250] == pytest.approx(0.9**2.5)
    assert seen[4370] > 0.01 >= seen[4371]


def test_cosine_falls_from_the_rate_to_the_final_share() -> None:
    seen = rates(cosine, 101, steps=100, warmup=0, final=0.1)
    assert seen[0] == 1
    assert seen[25] == pytest.approx(0.1 + 0.9 * (1 + math.sqrt(0.5)) / 2)
    assert seen[50] == pytest.approx(0.55)
    assert seen[100] == pytest.approx(0.1)
    assert all(a > b for a, b in pairwise(seen))


def test_cosine_stays_at_its_end() -> None:
    assert rates(cosine, 14, steps=10, warmup=0)[10:] == pytest.approx([0.0] * 4)


def test_warmup_rises_in_equal_steps_to_the_full_rate() -> None:
    seen = rates(cosine, 11, steps=10, warmup=4)
    assert seen[:5] == pytest.approx([0.25, 0.5, 0.75, 1.0, 1.0])
    assert seen[7] == pytest.approx(0.5)
    assert seen[10] == pytest.approx(0.0)


def test_a_training_that_is_all_warmup() -> None:
    assert rates(cosine, 4, steps=4, warmup=4) == pytest.approx([0.25, 0.5, 0.75, 1.0])
