"""What batches hold: keys, shapes, frames and units, said once.

B faces, W windows of a stage, V votes, S side of a crop. *Box frame*: (0, 0) and (1, 1) are the
corners of the face box, as seen after augmentation.
"""

from __future__ import annotations

from typing import TypedDict

from torch import Tensor


class FaceBatch(TypedDict):
    """Where the faces of a batch are and how they are seen; no pixels yet."""

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
    """Where the windows of a later stage stand, box frame, (B, 5, 2)."""
    shake: Tensor
    """Random move of each window in training, box sides, (B, W, 2)."""


class StageBatch(TypedDict):
    """What the nets of one CCNN stage are trained on."""

    image: Tensor
    """Crops, RGB in [0, 1], (B, W, 3, S, S)."""
    frame: Tensor
    """Frame of each vote as a window of the box frame, (B, V, 4)."""
    points: Tensor
    """True points, box frame, (B, 5, 2)."""
    size: Tensor
    """Width and height of the face box, px, (B, 2)."""


class NormalBatch(TypedDict):
    """Faces with their normals; x right, y up, z to the camera."""

    sample: Tensor
    """Row in the data set, int64, (B,)."""
    image: Tensor
    """RGB in [0, 1], (B, 3, S, S)."""
    normal: Tensor
    """Unit normals, zero outside the mask, (B, 3, S, S)."""
    mask: Tensor
    """Face pixels with a known normal, bool, (B, 1, S, S)."""
