"""Learning-rate schedules over a known number of steps."""

from __future__ import annotations

import math
from typing import Protocol

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR, LRScheduler


class MakeScheduler(Protocol):
    """Builds a scheduler that is stepped after every batch."""

    def __call__(self, optimizer: Optimizer, *, steps: int) -> LRScheduler:
        """Scheduler of a training of ``steps`` batches."""


def exponential(optimizer: Optimizer, *, steps: int, rate: float, every: int) -> LambdaLR:
    """Multiply the rate by ``rate ** (step / every)``: CCNN, Sec. 3.3 (0.9 every 100).

    Args:
        optimizer: Its learning rates are scheduled.
        steps: Not used; the paper's decay does not depend on the length.
        rate: Factor.
        every: Steps for one such factor.
    """
    return LambdaLR(optimizer, lambda step: rate ** (step / every))


def cosine(optimizer: Optimizer, *, steps: int, warmup: int = 200, final: float = 0.0) -> LambdaLR:
    """Rise over ``warmup`` steps, then fall along half a cosine to ``final`` of the rate.

    Args:
        optimizer: Its learning rates are scheduled.
        steps: Length of the training.
        warmup: Steps of the linear rise.
        final: Share of the rate that is left at the end.
    """

    def factor(step: int) -> float:
        if step < warmup:
            return (step + 1) / warmup
        done = min((step - warmup) / max(steps - warmup, 1), 1.0)
        return final + (1 - final) * (1 + math.cos(math.pi * done)) / 2

    return LambdaLR(optimizer, factor)
