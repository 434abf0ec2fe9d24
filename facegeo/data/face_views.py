"""Faces of one list and how they are seen in a batch: geometry alone, no pixels."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.utils.data import Dataset

from facegeo.data.augment import Augment
from facegeo.data.landmark_list import LandmarkList
from facegeo.data.pixels import PixelStore
from facegeo.data.stream import Draw
from facegeo.geometry.views import flip_names, to_frame, view_frames
from facegeo.types import FaceBatch


@dataclass(frozen=True)
class Faces:
    """One list with its pixels.

    Attributes:
        boxes: left, right, top, bottom, px, (N, 4).
        points: px, (N, 5, 2).
        image_size: Height and width of the whole images, px, (N, 2).
        store: Pixels of the same N faces.
        names: Image paths relative to the data folder.
    """

    boxes: Tensor
    points: Tensor
    image_size: Tensor
    store: PixelStore
    names: tuple[str, ...]

    @classmethod
    def of(cls, faces: LandmarkList, store: PixelStore) -> Faces:
        """Tensors of a list that was read and decoded."""
        boxes, points = (torch.from_numpy(a).float() for a in (faces.boxes, faces.points))
        return cls(boxes, points, store.image_size, store, faces.names)

    @property
    def content(self) -> str:
        """Sixteen hex digits that change with any image, box or point."""
        digest = hashlib.sha256("".join(self.store.digest).encode())
        digest.update(self.boxes.numpy().tobytes() + self.points.numpy().tobytes())
        return digest.hexdigest()[:16]


class FaceViews(Dataset[FaceBatch]):
    """Geometry of whole batches of augmented faces; pixels are cut later, on the device.

    Holds no pixels, so that a loader's processes get little to copy.

    Args:
        faces: The list.
        rows: Which of its faces take part.
        augment: What may happen to them.
        seed: Seed of the augmentation.
        windows: Windows W of the stage that is trained.
    """

    def __init__(
        self, faces: Faces, rows: Tensor, augment: Augment, seed: int, windows: int
    ) -> None:
        self.rows, self.augment = rows, augment
        self._boxes, self._points = faces.boxes[rows], faces.points[rows]
        self._image_size = faces.image_size[rows]
        self.seed, self.windows = seed, windows
        self.anchors: Tensor | None = None  # box frame, (views that are seen, rows, 5, 2)

    def __len__(self) -> int:
        return len(self.rows)

    def __getitems__(self, draws: Sequence[Draw | int]) -> FaceBatch:
        """A batch of (epoch, row) draws; a bare row is seen as it is."""
        pairs = [draw if isinstance(draw, tuple) else (0, draw) for draw in draws]
        return self.batch(*torch.tensor(pairs).unbind(1))

    def batch(self, epochs: Tensor, rows: Tensor) -> FaceBatch:
        """The faces at ``rows`` (B,) as they are seen in ``epochs`` (B,)."""
        count, augment = len(self.rows), self.augment
        view = augment.view(self.seed, epochs, rows, count)
        boxes = self._boxes[rows]
        frames = view_frames(boxes, view.angle, view.flip, view.scale, view.shift)
        points = flip_names(to_frame(self._points[rows], frames), view.flip)
        anchors = points if self.anchors is None else self.anchors[epochs % augment.views, rows]
        return {
            "face": self.rows[rows],
            "frame": frames,
            "points": points,
            "canvas": canvas_window(boxes, self._image_size[rows], view.flip, view.shift),
            "size": torch.stack([boxes[:, 1] - boxes[:, 0], boxes[:, 3] - boxes[:, 2]], dim=1),
            "anchors": anchors,
            "shake": augment.shake(self.seed, epochs, rows, count, self.windows),
        }

    def find_anchors(
        self, find: Callable[[FaceBatch], Tensor], batch_size: int, epochs: int
    ) -> None:
        """Let ``find`` say, once for every view, where the windows of the next stage stand.

        Args:
            find: Maps a batch to points of its box frame, (B, 5, 2).
            batch_size: Faces of a batch.
            epochs: Epochs that will be asked for; views that none of them has are left out.
        """
        self.anchors = torch.stack(
            [
                torch.cat(
                    [
                        find(self.batch(torch.full_like(rows, view), rows)).cpu()
                        for rows in torch.arange(len(self)).split(batch_size)
                    ]
                )
                for view in range(min(self.augment.views, epochs))
            ]
        )


def canvas_window(boxes: Tensor, image_size: Tensor, flip: Tensor, shift: Tensor) -> Tensor:
    """Each whole image as a window of its box frame, as seen after flip and shift; (B, 4).

    Rotation and scale do not move it.

    Args:
        boxes: left, right, top, bottom, px, (B, 4).
        image_size: Height and width, px, (B, 2).
        flip: Bool, (B,).
        shift: Move of the box, box sides, (B, 2).
    """
    size = image_size.flip(1).to(boxes.dtype)
    low, sides = boxes[:, 0::2], boxes[:, 1::2] - boxes[:, 0::2]
    centre = ((size - 1) / 2 - low) / sides
    x = torch.where(flip, 1 - centre[:, 0], centre[:, 0])
    centre = torch.stack([x, centre[:, 1]], dim=1) - shift
    return torch.cat([centre, size / 2 / sides], dim=1)
