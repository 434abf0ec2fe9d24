"""CCNN: three stages of small CNNs that find five facial points.

Duan, Wang, Wu: Face Alignment Algorithm Based on an Improved Cascaded CNN, Advances in
Multimedia 2021. Stage 1 looks at regions of the face box, every later stage at windows about
the points of the stage before. All positions are in the box frame (``facegeo.geometry.windows``).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn

from facegeo.geometry.points import POINT_NAMES
from facegeo.geometry.windows import from_window, to_window, window_of_region
from facegeo.models.net_bank import NetBank

Crop = Callable[[Tensor, int], Tensor]
"""Maps windows (B, W, 4) and a side S to crops (B, W, 3, S, S) in [0, 1]."""

POINTS = len(POINT_NAMES)


class Stage(nn.Module):
    """One stage: W nets, each of which votes for the points it sees; votes are averaged.

    Args:
        sees: For each net, the points it votes for, as names of ``POINT_NAMES``.
        net: Shape of a net: ``NetBank``'s arguments but ``outputs``.
        label: "window": nets answer in their own window's frame (paper, formula 9);
            "image": in the frame of the whole image ("windows-", Fig. 5).
    """

    names: tuple[str, ...]
    vote_net: Tensor
    vote_point: Tensor

    def __init__(
        self, sees: Sequence[Sequence[str]], net: Mapping[str, Any], label: str = "window"
    ) -> None:
        super().__init__()
        if label not in ("window", "image"):
            raise ValueError(f"label must be window or image, got {label}")
        self.label = label
        self.bank = NetBank([2 * len(points) for points in sees], **net)
        unknown = [p for points in sees for p in points if p not in POINT_NAMES]
        if unknown:
            raise ValueError(f"points must be among {list(POINT_NAMES)}, got {unknown[0]}")
        votes = [(i, POINT_NAMES.index(p)) for i, points in enumerate(sees) for p in points]
        missing = set(range(POINTS)) - {point for _, point in votes}
        if missing:
            names = [POINT_NAMES[i] for i in sorted(missing)]
            raise ValueError(f"no net of the stage sees {names}: add them to a net's points")
        table = torch.tensor(votes)
        self.register_buffer("vote_net", table[:, 0].clone(), persistent=False)
        self.register_buffer("vote_point", table[:, 1].clone(), persistent=False)

    @property
    def input_size(self) -> int:
        """Side of a net's input, px."""
        return self.bank.input_size

    def windows(self, anchors: Tensor) -> Tensor:
        """Where the nets look, given the previous stage's points (B, 5, 2): (B, W, 4)."""
        raise NotImplementedError

    def forward(self, crops: Tensor) -> Tensor:
        """Votes in the label's frame, (B, V, 2), from crops (B, W, 3, S, S).

        Each crop first loses its mean and is divided by its standard deviation (+ 1e-6).
        """
        votes: Tensor = self.bank(standardise(crops))
        pairs: Tensor = votes.unflatten(1, (-1, 2))
        return pairs

    def frames(self, windows: Tensor, canvas: Tensor) -> Tensor:
        """The frame each vote is told in, as windows (B, V, 4); ``canvas`` is the image's."""
        if self.label == "image":
            return canvas[:, None].expand(-1, len(self.vote_net), -1)
        return windows[:, self.vote_net]

    def targets(self, points: Tensor, frames: Tensor) -> Tensor:
        """What the nets should answer, (B, V, 2), for true points (B, 5, 2) of the box frame."""
        return to_window(points[:, self.vote_point], frames)

    def fuse(self, votes: Tensor, frames: Tensor) -> Tensor:
        """Points (B, 5, 2): the plain mean of the votes for each (formula 4)."""
        places = from_window(votes, frames)
        total = places.new_zeros(len(places), POINTS, 2)
        total = total.index_add(1, self.vote_point, places)
        return total / self.vote_point.bincount(minlength=POINTS)[:, None]


def standardise(crops: Tensor) -> Tensor:
    """Each crop of (B, W, C, S, S) minus its mean, divided by its standard deviation + 1e-6."""
    # Reductions over memory as it lies (channels last): torch.std_mean takes eight times as long.
    flat = crops.movedim(2, -1).flatten(2)
    flat = flat - flat.mean(dim=2, keepdim=True)
    flat = flat / (flat.square().mean(dim=2, keepdim=True).sqrt() + 1e-6)
    even: Tensor = flat.unflatten(2, (*crops.shape[3:], crops.shape[2]))
    return even.movedim(-1, 2)


class BoxStage(Stage):
    """Stage 1: nets on fixed regions of the face box (F1, EN1, NM1).

    Args:
        nets: For each net its ``region`` (x0, x1, y0, y1) in the box frame and its ``points``.
        net: Shape of a net.
        label: See ``Stage``.
    """

    regions: Tensor

    def __init__(
        self, nets: Mapping[str, Mapping[str, Any]], net: Mapping[str, Any], label: str = "window"
    ) -> None:
        super().__init__([one["points"] for one in nets.values()], net, label)
        self.names = tuple(nets)
        regions = [window_of_region(one["region"]) for one in nets.values()]
        self.register_buffer("regions", torch.tensor(regions), persistent=False)

    def windows(self, anchors: Tensor) -> Tensor:
        """The regions, the same for every face, (B, W, 4); anchors give only B."""
        return self.regions.expand(len(anchors), -1, -1)


class PointStage(Stage):
    """A later stage: for each point, a net on a window of each size about it (formula 5).

    Args:
        sizes: Window sizes a, in box sides; one net a point and size.
        mode: "half": a is half the window's side (ours); "full": the whole side.
        level: Number in the nets' names (LE21: left eye, level 2, first net).
        net: Shape of a net.
        label: See ``Stage``.
    """

    reach: Tensor

    def __init__(
        self,
        sizes: Sequence[float],
        net: Mapping[str, Any],
        mode: str = "half",
        level: int = 2,
        label: str = "window",
    ) -> None:
        if mode not in ("half", "full"):
            raise ValueError(f"mode must be half or full, got {mode}")
        super().__init__([(name,) for name in POINT_NAMES for _ in sizes], net, label)
        self.names = tuple(
            f"{name}{level}{i}" for name in POINT_NAMES for i in range(1, len(sizes) + 1)
        )
        half = torch.tensor(list(sizes) * POINTS) * (1.0 if mode == "half" else 0.5)
        self.register_buffer("reach", half[:, None].expand(-1, 2).clone(), persistent=False)

    def windows(self, anchors: Tensor) -> Tensor:
        """Windows centred on the anchors, (B, W, 4); the geometry is never clipped."""
        centres = anchors[:, self.vote_point]
        return torch.cat([centres, self.reach.expand(len(anchors), -1, -1)], dim=-1)


class Cascade(nn.Module):
    """Stages one after the other, from a face box to its five points.

    Args:
        stages: The stages by name, first to last.
    """

    def __init__(self, stages: Mapping[str, Stage]) -> None:
        super().__init__()
        self.stages = nn.ModuleDict(stages)

    def by_name(self) -> dict[str, Stage]:
        """The stages, first to last."""
        return cast(dict[str, Stage], dict(self.stages.items()))

    def first(self, count: int) -> Cascade:
        """The cascade of the first ``count`` stages, which are shared and not copied."""
        return Cascade(dict(list(self.by_name().items())[:count]))

    def forward(self, crop: Crop, canvas: Tensor) -> Tensor:
        """Find the points of a batch of faces.

        Args:
            crop: Cuts windows out of the batch's images.
            canvas: Each whole image as a window of the box frame, (B, 4).

        Returns:
            Points after each stage, box frame, (B, T, 5, 2).
        """
        anchors = canvas.new_full((len(canvas), POINTS, 2), 0.5)
        found = []
        for stage in self.by_name().values():
            windows = stage.windows(anchors)
            votes = stage(crop(windows, stage.input_size))
            anchors = stage.fuse(votes, stage.frames(windows, canvas))
            found.append(anchors)
        return torch.stack(found, dim=1)
