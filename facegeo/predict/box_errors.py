"""What a wrong box costs: points found in boxes that were moved, scaled, or detected."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from facegeo.data.face_views import Faces, canvas_window
from facegeo.data.pixels import PixelStore
from facegeo.geometry.crops import FaceCrops
from facegeo.geometry.points import point_errors
from facegeo.geometry.views import view_frames
from facegeo.models.ccnn import Cascade
from facegeo.predict.box import BoxMapping, box_of_points, overlap
from facegeo.predict.face import Boxes

BATCH = 256
SAME_FACE = 0.3
"""Least overlap (IoU) of a detector's own box with the given one to be of the same face."""


@torch.inference_mode()
def errors_in(
    cascade: Cascade,
    faces: Faces,
    rows: Tensor,
    boxes: Tensor,
    device: torch.device | str,
    looks: int = 1,
) -> Tensor:
    """Mean error of the five points after each stage, in % of the *given* box's width.

    Args:
        cascade: Trained.
        faces: Of a list, with pixels 0.4 box sides round the given box; beyond, the border is
            repeated.
        rows: Of ``faces``, (N,).
        boxes: Where the cascade looks for them, left, right, top, bottom, px, (N, 4).
        device: Where it runs.
        looks: 2: look again in the box that the points found tell.

    Returns:
        Shape (N, T).
    """
    cascade, store = cascade.to(device).eval(), faces.store.to(device)
    parts = []
    for index in torch.arange(len(rows)).split(BATCH):
        some, box = rows[index], boxes[index].float()
        points = _points(cascade, store, faces.image_size, some, box)
        for _ in range(looks - 1):
            box = torch.from_numpy(box_of_points(points[:, -1].numpy())).float()
            points = _points(cascade, store, faces.image_size, some, box)
        width, true = faces.boxes[some, 1] - faces.boxes[some, 0], faces.points[some]
        stages = [point_errors(p, true, width).mean(dim=1) for p in points.unbind(1)]
        parts.append(100 * torch.stack(stages, dim=1))
    return torch.cat(parts)


def _points(
    cascade: Cascade, store: PixelStore, image_size: Tensor, rows: Tensor, boxes: Tensor
) -> Tensor:
    """Points found in boxes (B, 4) of the faces at ``rows``, px, (B, T, 5, 2), on the CPU."""
    device, none = store.pixels.device, torch.zeros(len(rows))
    still, shift = torch.zeros(len(rows), dtype=torch.bool), torch.zeros(len(rows), 2)
    frames = view_frames(boxes, none, still, none + 1, shift)
    canvas = canvas_window(boxes, image_size[rows], still, shift)
    found = cascade(FaceCrops(store, rows.to(device), frames.to(device)), canvas.to(device)).cpu()
    sides = boxes[:, 1::2] - boxes[:, 0::2]
    points: Tensor = found * sides[:, None, None] + boxes[:, None, None, 0::2]
    return points


def moved(boxes: Tensor, shift: float, scale: float, seed: int) -> Tensor:
    """Return boxes (N, 4) scaled about their middle and moved in a direction drawn for each.

    Args:
        boxes: Left, right, top, bottom, px.
        shift: Length of the move, in widths (along x) and heights (along y) of the box.
        scale: Of the sides.
        seed: Of the directions; the same for every shift and scale.
    """
    draw = torch.Generator().manual_seed(seed)
    angle = 2 * torch.pi * torch.rand(len(boxes), generator=draw)
    way = torch.stack([angle.cos(), angle.sin()], dim=1)
    low, high = boxes[:, 0::2], boxes[:, 1::2]
    middle = (low + high) / 2 + shift * way * (high - low)
    half = scale * (high - low) / 2
    return torch.stack([middle - half, middle + half], dim=2).flatten(1)


@dataclass(frozen=True)
class Matched:
    """The detector's box of each face of a list that it found.

    Attributes:
        rows: Of the faces found, (M,).
        boxes: The detector's own boxes of these, px, (M, 4).
        images: Images looked at.
        others: Boxes that belong to no face of the list.
    """

    rows: npt.NDArray[np.int64]
    boxes: Boxes
    images: int
    others: int


def match(given: Boxes, found: Sequence[Boxes]) -> Matched:
    """Find the detected box of each face: the one that overlaps the given box most.

    Args:
        given: Box of the face of each image, (N, 4).
        found: The detector's boxes in each image, (F, 4) each.
    """
    rows, boxes = [], []
    for row, (box, own) in enumerate(zip(given, found, strict=True)):
        shares = overlap(box[None], own)[0]
        if len(own) and shares.max() > SAME_FACE:
            rows.append(row)
            boxes.append(own[shares.argmax()])
    others = sum(map(len, found)) - len(rows)
    places = np.stack(boxes) if boxes else np.zeros((0, 4))
    return Matched(np.array(rows, np.int64), places, len(given), others)


def fit_mapping(given: Boxes, detected: Boxes) -> tuple[BoxMapping, BoxMapping]:
    """Fit what turns detected boxes into the given ones: the median of each number.

    Args:
        given: Boxes of the training, (M, 4).
        detected: The detector's own boxes of the same faces, (M, 4).

    Returns:
        The medians, and the robust standard deviation (1.4826 MAD) of each.
    """
    side = detected[:, 1::2] - detected[:, 0::2]
    move = (given[:, 0::2] + given[:, 1::2] - detected[:, 0::2] - detected[:, 1::2]) / 2 / side
    scale = (given[:, 1::2] - given[:, 0::2]).mean(axis=1) / side.mean(axis=1)
    numbers = np.concatenate([move, scale[:, None]], axis=1)
    medians = np.median(numbers, axis=0)
    spread = 1.4826 * np.median(np.abs(numbers - medians), axis=0)
    return BoxMapping(*medians.tolist()), BoxMapping(*spread.tolist())
