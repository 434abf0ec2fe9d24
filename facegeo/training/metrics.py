"""The base of both wings' metrics: exact sums and counts, values under prefixed names."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from torchmetrics import Metric

Shapes = Mapping[str, tuple[int, ...]]


class NamedErrors(Metric):
    """Several values from sums over everything seen.

    Args:
        prefix: Put before each name, such as ``"test/t2/"``.
        sums: Shapes of float64 states: sums over any number of values to rounding, whatever the
            batch size.
        counts: Shapes of int64 states.
        kwargs: For ``torchmetrics.Metric``.
    """

    is_differentiable = False
    higher_is_better = False
    full_state_update = False

    def __init__(self, prefix: str, sums: Shapes, counts: Shapes, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.key_prefix = prefix  # MetricCollection has its own use for the name ``prefix``
        for shapes, dtype in ((sums, torch.float64), (counts, torch.long)):
            for name, shape in shapes.items():
                self.add_state(name, torch.zeros(shape, dtype=dtype), dist_reduce_fx="sum")

    def named(self, values: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return values as float32 under prefixed names."""
        return {f"{self.key_prefix}{name}": value.float() for name, value in values.items()}
