"""How long a training of the cascade will take on this machine, estimated before it begins."""

from __future__ import annotations

import time
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass

import torch

from facegeo.models.ccnn import Cascade, Stage

PROBE_BATCHES = 3
"""Batches that each stage is timed with, after one that is not timed."""
BESIDE_NETS = 1.45
"""Time of a training over that of its nets alone: crops, optimizer, validation, logging."""
MEASURING_S = 20.0
"""Reading the faces, measuring the trained cascade and drawing, s."""


@dataclass(frozen=True)
class ExpectedTime:
    """What is left to do.

    Attributes:
        training_s: Time of the training, s.
    """

    training_s: float

    def text(self, rendering_s: float = 0.0) -> str:
        """Say how long everything will take.

        >>> ExpectedTime(100.0).text(90.0)
        'this takes about 3.5 minutes on this machine: 1.5 to render faces, 1.5 to train'
        """
        parts = [(rendering_s, "to render faces"), (self.training_s, "to train")]
        total = sum(seconds for seconds, _ in parts) + MEASURING_S
        listed = [f"{_minutes(seconds)} {what}" for seconds, what in parts if seconds]
        return f"this takes about {_minutes(total)} minutes on this machine: {', '.join(listed)}"


def cascade_time(
    cascade: Cascade, steps: Mapping[str, int], batch_size: int, device: str
) -> ExpectedTime:
    """Time a few empty batches through copies of the nets.

    Args:
        cascade: Left as it is.
        steps: Batches of each stage that is still to be trained, by the stage's name.
        batch_size: Faces of a batch.
        device: Where it will be trained.
    """
    stages = {name: stage for name, stage in cascade.by_name().items() if steps.get(name)}
    seconds = [
        steps[name] * _batch_seconds(stage, batch_size, device) for name, stage in stages.items()
    ]
    return ExpectedTime(BESIDE_NETS * sum(seconds))


def _batch_seconds(stage: Stage, batch_size: int, device: str) -> float:
    """Shortest time of a forward and backward pass, s."""
    nets = deepcopy(stage).to(device).eval()  # dropout would draw numbers
    side = stage.input_size
    crops = torch.zeros(batch_size, len(stage.names), 3, side, side, device=device)
    found = []
    for _ in range(1 + PROBE_BATCHES):
        start = time.perf_counter()
        loss = nets(crops).square().sum()
        loss.backward()
        float(loss.detach())  # waits for a GPU
        found.append(time.perf_counter() - start)
    return min(found[1:])


def _minutes(seconds: float) -> str:
    """Minutes to the next half, from half a minute on."""
    return f"{max(1, round(seconds / 30)) / 2:g}"
