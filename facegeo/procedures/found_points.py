"""Points found by a cascade on a whole list, and how far they are off."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from lightning.fabric.utilities import move_data_to_device
from torch import Tensor

from facegeo.data.lfpw import LFPWDataModule
from facegeo.metrics.landmark import LandmarkErrors
from facegeo.models.ccnn import Cascade


@dataclass(frozen=True)
class Found:
    """Points of a list, each relative to its box's left top corner, px.

    Attributes:
        points: After each stage, (N, T, 5, 2).
        target: True points, (N, 5, 2).
        size: Width and height of the boxes, (N, 2).
        rows: Rows of the list, (N,).
    """

    points: Tensor
    target: Tensor
    size: Tensor
    rows: Tensor


@torch.inference_mode()
def find_points(cascade: Cascade, data: LFPWDataModule, split: str, device: torch.device) -> Found:
    """Run the cascade on the faces of "train" (as they are), "val" or "test"."""
    cascade = cascade.to(device).eval()
    parts: list[tuple[Tensor, ...]] = []
    for batch in data.in_order(split):
        batch = move_data_to_device(batch, device)
        found = cascade(data.crops(batch, split), batch["canvas"])
        sides = batch["size"][:, None]
        parts.append(
            (found * sides[:, None], batch["points"] * sides, batch["size"], batch["face"])
        )
    return Found(*(torch.cat(column).cpu() for column in zip(*parts, strict=True)))


def measure(
    found: Found, split: str, mean_shape: Tensor | None = None
) -> dict[str, LandmarkErrors]:
    """Errors after each stage ("stage1", ...) and of the mean shape where that is given.

    Args:
        found: Points of a list.
        split: First part of the metrics' names.
        mean_shape: Mean points of the training faces, box frame, (5, 2).
    """
    guesses = {f"stage{i + 1}": found.points[:, i] for i in range(found.points.shape[1])}
    if mean_shape is not None:
        guesses["mean_shape"] = mean_shape * found.size[:, None]
    measured = {}
    for name, guess in guesses.items():
        measured[name] = LandmarkErrors(prefix=f"{split}/{name}/")
        measured[name].update(guess, found.target, found.size[:, 0])
    return measured


def mean_shape(data: LFPWDataModule) -> Tensor:
    """Mean of the training faces' points in their boxes, (5, 2): what a guess without eyes gets."""
    views = data.views("train")
    rows = torch.arange(len(views))
    return views.batch(torch.zeros_like(rows), rows)["points"].mean(dim=0)
