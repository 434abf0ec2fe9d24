"""Views of faces in training: augmentation, frames, windows, batches.

All random numbers are a function of (seed, epoch, row), so they are the same for any batch size
and any number of workers.
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Annotated, TypedDict

import torch
from pydantic import ConfigDict, Field, NonNegativeFloat, PositiveInt
from pydantic.dataclasses import dataclass as checked_dataclass
from torch import Tensor
from torch.utils.data import Dataset

from facegeo.geometry.windows import flip_names, to_frame, view_frames
from facegeo.landmarks.lists import LandmarkList
from facegeo.landmarks.pixels import PixelStore
from facegeo.training.stream import Draw, seeded


class FaceBatch(TypedDict):
    """Places and views of the faces of a batch, without pixels."""

    face: Tensor
    """Row in the pixel store, int64, (B,)."""
    frame: Tensor
    """Affine map from the box frame to image px, (B, 2, 3)."""
    points: Tensor
    """True points, box frame, (B, 5, 2), in the order of ``POINT_NAMES``."""
    canvas: Tensor
    """The whole image as a window of the box frame, (B, 4)."""
    size: Tensor
    """Width and height of the face box, px, (B, 2)."""
    anchors: Tensor
    """Centres of the windows of a later stage, box frame, (B, 5, 2)."""
    shake: Tensor
    """Random move of each window in training, box sides, (B, W, 2)."""


class StageBatch(TypedDict):
    """Crops and true points that the nets of one CCNN stage are trained on."""

    image: Tensor
    """Crops, RGB in [0, 1], (B, W, 3, S, S)."""
    frame: Tensor
    """Frame of each vote as a window of the box frame, (B, V, 4)."""
    points: Tensor
    """True points, box frame, (B, 5, 2)."""
    size: Tensor
    """Width and height of the face box, px, (B, 2)."""


@dataclass(frozen=True)
class View:
    """How the samples of a batch are seen.

    Attributes:
        angle: Rotation about the box centre, radians, counter-clockwise as seen, (B,).
        flip: Whether left and right are exchanged, bool, (B,).
        scale: How much larger the face is seen, (B,).
        shift: Move of the box, box sides, (B, 2).
    """

    angle: Tensor
    flip: Tensor
    scale: Tensor
    shift: Tensor


@checked_dataclass(frozen=True, config=ConfigDict(extra="forbid"))
class Augment:
    """Random changes of a training face.

    A face has ``views`` views, one an epoch, in turn; which angle and whether flipped is spread
    evenly over them, so that six views of three angles and flip 0.5 are the paper's 60,000
    images (Sec. 4.1), each once. The shake is new in every epoch.

    Attributes:
        views: Views of a face. The previous stage's points are found once for each.
        rotations_deg: One of these angles is taken, counter-clockwise as seen.
        rotation_spread_deg: A uniform angle of up to this size is added.
        flip: Share of flipped views: 0, 0.5 or 1 of each face's; another share holds over all
            faces, not for each.
        scale_spread: Scale is exp(uniform(-s, s)).
        shift_sigma: Standard deviation of the box's move, box sides.
        shake_sigma: Standard deviation of each window's move, box sides (paper: N(0, 1e-4),
            read as a variance, so 0.01).
    """

    views: PositiveInt = 1
    rotations_deg: Annotated[Sequence[float], Field(min_length=1)] = (0.0,)
    rotation_spread_deg: NonNegativeFloat = 0.0
    flip: Annotated[float, Field(ge=0, le=1)] = 0.0
    scale_spread: NonNegativeFloat = 0.0
    shift_sigma: NonNegativeFloat = 0.0
    shake_sigma: NonNegativeFloat = 0.0

    def view(self, seed: int, epochs: Tensor, rows: Tensor, count: int) -> View:
        """Views of a batch.

        Args:
            seed: Seed of the run.
            epochs: Epoch of each sample, int64, (B,).
            rows: Row of each sample, int64, (B,).
            count: Rows of the data set.
        """
        turn = epochs % self.views
        start = _uniform(seed, 0, count)[rows]
        fresh = torch.empty(len(rows), 2)
        shift = torch.empty(len(rows), 2)
        for one in turn.unique().tolist():
            chosen = turn == one
            fresh[chosen] = _uniform(seed, 1 + one, count)[rows[chosen]]
            shift[chosen] = _normal(seed, 0, one, count, 2)[rows[chosen]]
        choice = (start[:, 0] + turn / self.views) % 1
        flip = (start[:, 1] + turn / 2) % 1
        spread, scale = (2 * fresh - 1).unbind(1)
        angles = torch.tensor([float(angle) for angle in self.rotations_deg])
        angle = angles[(choice * len(angles)).long()] + spread * self.rotation_spread_deg
        return View(
            angle=torch.deg2rad(angle),
            flip=flip < self.flip,
            scale=torch.exp(scale * self.scale_spread),
            shift=shift * self.shift_sigma,
        )

    def shake(self, seed: int, epochs: Tensor, rows: Tensor, count: int, windows: int) -> Tensor:
        """Random moves of the windows, box sides, (B, W, 2); arguments as for ``view``."""
        if not self.shake_sigma:
            return torch.zeros(len(rows), windows, 2)
        moves = torch.empty(len(rows), 2 * windows)
        for epoch in epochs.unique().tolist():
            chosen = epochs == epoch
            moves[chosen] = _normal(seed, 1, epoch, count, 2 * windows)[rows[chosen]]
        shaken: Tensor = moves.unflatten(1, (windows, 2)) * self.shake_sigma
        return shaken


@lru_cache(maxsize=4)
def _uniform(seed: int, turn: int, count: int) -> Tensor:
    return torch.rand(count, 2, generator=seeded(seed, 1, turn))


@lru_cache(maxsize=4)
def _normal(seed: int, purpose: int, turn: int, count: int, width: int) -> Tensor:
    return torch.randn(count, width, generator=seeded(seed, 2 + purpose, turn))


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
    def of(cls, faces: LandmarkList, store: PixelStore) -> "Faces":
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
        augment: Their random changes.
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
        """Find the centres of the next stage's windows, once for every view.

        Args:
            find: Maps a batch to points of its box frame, (B, 5, 2).
            batch_size: Faces of a batch.
            epochs: Epochs of the training; views that no epoch uses are left out.
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
