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
from facegeo.models.crop_values import grey, standardise
from facegeo.models.net_bank import NetBank
from facegeo.models.side_by_side import SideBySide

Crop = Callable[[Tensor, int], Tensor]
"""Maps windows (B, W, 4) and a side S to crops (B, W, 3, S, S) in [0, 1]."""

Nets = Mapping[str, Any] | Callable[[Sequence[int]], SideBySide]
"""Builds a stage's nets: ``NetBank``'s arguments but ``outputs``, or what is called with these."""

POINTS = len(POINT_NAMES)


class Stage(nn.Module):
    """One stage: W nets, each of which votes for the points it sees; votes are fused.

    Args:
        sees: For each net, the points it votes for, as names of ``POINT_NAMES``.
        net: What builds the nets.
        label: "window": nets answer in their own window's frame (paper, formula 9);
            "image": in the frame of the whole image ("windows-", Fig. 5).
        fusion: "mean" of the votes for a point (formula 4); or the "first" or the "last" net's
            vote alone: in stage 1 F1's or the partial nets', later that of the first or last window
            size. All nets are trained whichever counts.
        colour: "rgb" or "grey": what the nets are shown, three channels or one.

    Raises:
        ValueError: If a choice is none of these, or no net sees a point.
    """

    names: tuple[str, ...]
    vote_net: Tensor
    vote_point: Tensor
    counts: Tensor

    def __init__(
        self,
        sees: Sequence[Sequence[str]],
        net: Nets,
        label: str = "window",
        fusion: str = "mean",
        colour: str = "rgb",
    ) -> None:
        super().__init__()
        _check_choice("label", label, "window", "image")
        _check_choice("fusion", fusion, "mean", "first", "last")
        _check_choice("colour", colour, "rgb", "grey")
        self.label, self.colour = label, colour
        outputs = [2 * len(points) for points in sees]
        self.bank = NetBank(outputs, **net) if isinstance(net, Mapping) else net(outputs)
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
        counts = torch.tensor(_counting([point for _, point in votes], fusion))
        self.register_buffer("counts", counts, persistent=False)

    @property
    def input_size(self) -> int:
        """Side of a net's input, px."""
        return self.bank.input_size

    def windows(self, anchors: Tensor) -> Tensor:
        """Where the nets look, given the previous stage's points (B, 5, 2): (B, W, 4)."""
        raise NotImplementedError

    def forward(self, crops: Tensor) -> Tensor:
        """Votes in the label's frame, (B, V, 2), from crops (B, W, 3, S, S).

        Each crop, grey where that is chosen, first loses its mean and is divided by its standard
        deviation (+ 1e-6).
        """
        if self.colour == "grey":
            crops = grey(crops)
        votes: Tensor = self.bank(standardise(crops))
        pairs: Tensor = votes.unflatten(1, (-1, 2))
        return pairs

    def frames(self, windows: Tensor, canvas: Tensor) -> Tensor:
        """The frame each vote is told in, as windows (B, V, 4); ``canvas`` is the image's."""
        if self.label == "image":
            return canvas[:, None].expand(-1, len(self.vote_net), -1)
        return windows.index_select(1, self.vote_net)

    def targets(self, points: Tensor, frames: Tensor) -> Tensor:
        """What the nets should answer, (B, V, 2), for true points (B, 5, 2) of the box frame."""
        return to_window(points[:, self.vote_point], frames)

    def fuse(self, votes: Tensor, frames: Tensor) -> Tensor:
        """Points (B, 5, 2): for each the plain mean (formula 4) of the votes that count."""
        places = from_window(votes, frames)[:, self.counts]
        points = self.vote_point[self.counts]
        total = places.new_zeros(len(places), POINTS, 2)
        return total.index_add(1, points, places) / points.bincount(minlength=POINTS)[:, None]


def _check_choice(name: str, value: str, *choices: str) -> None:
    if value not in choices:
        raise ValueError(f"{name} must be {' or '.join(choices)}, got {value}")


def _counting(points: Sequence[int], fusion: str) -> list[int]:
    """Which votes, of those for ``points``, are averaged."""
    if fusion == "mean":
        return list(range(len(points)))
    numbered = list(enumerate(points))
    chosen = {point: vote for vote, point in (numbered[::-1] if fusion == "first" else numbered)}
    return sorted(chosen.values())


class BoxStage(Stage):
    """Stage 1: nets on fixed regions of the face box (F1, EN1, NM1).

    Args:
        nets: For each net its ``region`` (x0, x1, y0, y1) in the box frame and its ``points``.
        net: What builds the nets.
        **choices: ``label``, ``fusion`` and ``colour`` of ``Stage``.
    """

    regions: Tensor

    def __init__(self, nets: Mapping[str, Mapping[str, Any]], net: Nets, **choices: Any) -> None:
        super().__init__([one["points"] for one in nets.values()], net, **choices)
        self.names = tuple(nets)
        regions = [window_of_region(one["region"]) for one in nets.values()]
        self.register_buffer("regions", torch.tensor(regions), persistent=False)

    def windows(self, anchors: Tensor) -> Tensor:
        """The regions, the same for every face, (B, W, 4); anchors give only B."""
        return self.regions.expand(anchors.shape[0], -1, -1)


class PointStage(Stage):
    """A later stage: for each point, a net on a window of each size about it (formula 5).

    Args:
        sizes: Window sizes a, in box sides; one net a point and size.
        net: What builds the nets.
        mode: "half": a is half the window's side (ours); "full": the whole side.
        level: Number in the nets' names (LE21: left eye, level 2, first net).
        **choices: ``label``, ``fusion`` and ``colour`` of ``Stage``.
    """

    reach: Tensor

    def __init__(
        self,
        sizes: Sequence[float],
        net: Nets,
        mode: str = "half",
        level: int = 2,
        **choices: Any,
    ) -> None:
        _check_choice("mode", mode, "half", "full")
        super().__init__([(name,) for name in POINT_NAMES for _ in sizes], net, **choices)
        self.names = tuple(
            f"{name}{level}{i}" for name in POINT_NAMES for i in range(1, len(sizes) + 1)
        )
        half = torch.tensor(list(sizes) * POINTS) * (1.0 if mode == "half" else 0.5)
        self.register_buffer("reach", half[:, None].expand(-1, 2).clone(), persistent=False)

    def windows(self, anchors: Tensor) -> Tensor:
        """Windows centred on the anchors, (B, W, 4); the geometry is never clipped."""
        centres = anchors.index_select(1, self.vote_point)
        return torch.cat([centres, self.reach.expand(anchors.shape[0], -1, -1)], dim=-1)


class Cascade(nn.Module):
    """Stages one after the other, from a face box to its five points.

    Args:
        stages: The stages by name, first to last.
        count: How many of them there are to be, from the first; None: all.

    Raises:
        ValueError: If there are not so many, or none is left.
    """

    def __init__(self, stages: Mapping[str, Stage], count: int | None = None) -> None:
        super().__init__()
        if count is not None and count not in range(1, len(stages) + 1):
            raise ValueError(
                f"count must be from 1 to {len(stages)}, the stages there are, or null for all, "
                f"got {count}"
            )
        self.stages = nn.ModuleDict(dict(list(stages.items())[:count]))

    def by_name(self) -> dict[str, Stage]:
        """The stages, first to last."""
        return cast(dict[str, Stage], dict(self.stages.items()))

    def first(self, count: int) -> Cascade:
        """The cascade of the first ``count`` stages, which are shared and not copied."""
        return Cascade(self.by_name(), count)

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
