"""Faces with normals as a loader's processes hand them out, and what becomes of them after."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NotRequired, TypedDict

import torch
from torch import Tensor

from facegeo.data.normal_augment import SHORTEST, NormalAugment, flip_faces, lengths, turn_faces
from facegeo.data.normal_data import WholeBatches
from facegeo.data.normal_store import NormalStore
from facegeo.data.stream import Draw
from facegeo.geometry.normals import decode, from_frame
from facegeo.types import NormalBatch


class StoredBatch(TypedDict):
    """Pixels as stored and how they shall be seen: bytes, so that little is moved about."""

    sample: Tensor
    """Row in the data set, int64, (B,)."""
    image: Tensor
    """RGB, uint8, (B, S, S, 3)."""
    normal: Tensor
    """Colours, uint8, or vectors, float16, in the files' frame, (B, S, S, 3)."""
    mask: Tensor
    """1 for face pixels, uint8, (B, S, S)."""
    flip: NotRequired[Tensor]
    """Whether the face is mirrored, bool, (B,); not there if none may be, and so below."""
    angle: NotRequired[Tensor]
    """Rotation after that, radians, counter-clockwise as seen, (B,)."""
    scale: NotRequired[Tensor]
    """How much larger it is seen, (B,)."""


class NormalFaces(WholeBatches):
    """Whole batches of stored faces.

    Args:
        store: All faces.
        rows: Which of them take part.
        augment: What may happen to them.
        seed: Seed of the augmentation.
    """

    def __init__(self, store: NormalStore, rows: Tensor, augment: NormalAugment, seed: int) -> None:
        self.store, self.rows, self.augment, self.seed = store, rows, augment, seed

    def __len__(self) -> int:
        return len(self.rows)

    def __getitems__(self, draws: Sequence[Draw | int]) -> StoredBatch:
        """A batch of (epoch, row) draws; a bare row is of epoch 0."""
        pairs = [draw if isinstance(draw, tuple) else (0, draw) for draw in draws]
        epochs, rows = torch.tensor(pairs).unbind(1)
        image, normal, mask = self.store.take(self.rows[rows])
        change = self.augment.photometric
        if change is not None:
            for place, (epoch, row) in enumerate(pairs):
                changed = change(image[place].numpy(), self.seed, epoch, row)
                image[place] = torch.from_numpy(changed)
        flip, angle, scale = self.augment.draw(self.seed, epochs, rows, len(self))
        batch: StoredBatch = {
            "sample": self.rows[rows],
            "image": image,
            "normal": normal,
            "mask": mask,
        }
        if self.augment.flip > 0:
            batch["flip"] = flip
        if self.augment.turns:
            batch["angle"], batch["scale"] = angle, scale
        return batch


def develop(batch: StoredBatch, frame: str) -> NormalBatch:
    """Decode a batch, bring its normals to our frame and unit length, and move the faces.

    Args:
        batch: As stored, on the device that trains.
        frame: Frame of the stored normals, a key of ``FRAMES``.
    """
    image, stored = (batch[key].permute(0, 3, 1, 2).contiguous() for key in ("image", "normal"))
    vectors = decode(stored) if stored.dtype == torch.uint8 else stored.float()
    mask = batch["mask"][:, None] > 0
    normal = from_frame(vectors / lengths(vectors).clamp_min(SHORTEST), frame) * mask
    image = image.float() / 255
    if "flip" in batch:
        image, normal, mask = flip_faces(image, normal, mask, batch["flip"])
    if "angle" in batch:
        image, normal, mask = turn_faces(image, normal, mask, batch["angle"], batch["scale"])
    return {"sample": batch["sample"], "image": image, "normal": normal, "mask": mask}
