"""Where the error of a cascade comes from: windows that miss the point, and noise of the labels."""

from __future__ import annotations

from collections import defaultdict
from itertools import combinations

import torch
from torch import Tensor

from facegeo.data.lfpw import LFPWDataModule
from facegeo.geometry.points import point_errors
from facegeo.geometry.windows import to_window
from facegeo.models.ccnn import Cascade
from facegeo.procedures.found_points import Found


def window_misses(cascade: Cascade, found: Found, split: str) -> dict[str, float]:
    """How often the truth lies outside a window that should hold it, by stage.

    Args:
        cascade: What found the points.
        found: Points of a list.
        split: First part of the names.

    Returns:
        ``split/stage1/outside_pct`` and so on: share of votes, in %, whose true point lies
        outside their window; the net can not see it then.
    """
    sides = found.size[:, None]
    target = found.target / sides
    anchors = torch.full_like(target, 0.5)
    misses = {}
    for number, stage in enumerate(cascade.by_name().values()):
        device = stage.vote_net.device
        windows = stage.windows(anchors.to(device))[:, stage.vote_net].cpu()
        inside = to_window(target[:, stage.vote_point.cpu()], windows)
        outside = ((inside < 0) | (inside > 1)).any(dim=2)
        misses[f"{split}/stage{number + 1}/outside_pct"] = 100 * outside.float().mean().item()
        anchors = found.points[:, number] / sides
    return misses


def label_noise(data: LFPWDataModule) -> Tensor:
    """How far two labels of the same photograph are apart, as a share of the box width.

    Byte-identical images of the training and the test list were labelled more than once. Two
    labels with independent errors of one size are the square root of two times that apart.

    Returns:
        Mean over the five points for each pair of copies, (P,); boxes may differ, so points are
        compared in image pixels.
    """
    copies: dict[str, list[tuple[Tensor, Tensor]]] = defaultdict(list)
    for split in ("train", "test"):
        faces = data.faces(split)
        for row, digest in enumerate(faces.store.digest):
            copies[digest].append((faces.points[row], faces.boxes[row]))
    pairs = [
        point_errors(one[0][None], other[0][None], (one[1][1] - one[1][0])[None]).mean()
        for group in copies.values()
        for one, other in combinations(group, 2)
    ]
    return torch.stack(pairs) if pairs else torch.empty(0)
