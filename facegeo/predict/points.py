"""Five points of faces whose boxes are known, by a trained or an exported cascade."""

from collections.abc import Callable, Sequence
from math import ceil, log2
from pathlib import Path
from typing import cast

import numpy as np
import torch
from torch import Tensor

from facegeo.errors import UserError
from facegeo.export.onnx_model import OnnxCascade, is_exported
from facegeo.geometry.crops import FaceCrops
from facegeo.geometry.windows import view_frames
from facegeo.landmarks.nets import Cascade
from facegeo.landmarks.pixels import LEVELS, PixelStore, pyramid, source_region
from facegeo.landmarks.views import canvas_window
from facegeo.predict.photo import Boxes, Floats, Image
from facegeo.training.model_file import load_model

FindPoints = Callable[[Sequence[Image], Sequence[Boxes]], Sequence[Floats]]
"""Maps images and the boxes (F, 4) of each to points (F, T, 5, 2) of each, px."""
FINEST_PX = 10
"""One level is added for each time that a box is twice as wide as 2^LEVELS times this: the face may
be larger than any in training, and must still be averaged before it is sampled."""


def load_points(name: str | Path, device: str) -> FindPoints:
    """Load a model that finds points in boxes.

    Args:
        name: Released name, model file, run folder or exported ``.onnx``.
        device: Where it runs; exported models run on the CPU.

    Raises:
        UserError: If there is no such model, or it finds something else.
    """
    if is_exported(name):
        exported = OnnxCascade(name)
        return lambda images, boxes: [exported(*one) for one in zip(images, boxes, strict=True)]
    model, _ = load_model(name)
    if (finds := getattr(model, "finds", None)) != "points":
        raise UserError(
            f"{name} finds {finds}: wanted a model of points; give a model of normals as "
            f"normals={name} beside a cascade such as ccnn-lfpw"
        )
    return CascadePoints(cast(Cascade, model), device)


class CascadePoints:
    """Finds points with crops cut as in training.

    Args:
        cascade: Trained.
        device: Where it runs.
        batch: Faces that run at once.
    """

    def __init__(self, cascade: Cascade, device: str = "cpu", batch: int = 64) -> None:
        self.cascade, self.device, self.batch = cascade.to(device).eval(), device, batch

    @torch.inference_mode()
    def __call__(self, images: Sequence[Image], boxes: Sequence[Boxes]) -> list[Floats]:
        """Return for each image the points (F, T, 5, 2) in its boxes (F, 4), px."""
        faces = [(image, box) for image, own in zip(images, boxes, strict=True) for box in own]
        parts = [np.zeros((0, len(self.cascade.stages), 5, 2), np.float32)]
        for start in range(0, len(faces), self.batch):
            some = faces[start : start + self.batch]
            store = _store(some).to(self.device)
            box = torch.tensor(np.stack([one for _, one in some]), dtype=torch.float32)
            found = points_in_boxes(self.cascade, store, torch.arange(len(box)), box)
            parts.append(found.numpy())
        ends = np.cumsum([len(own) for own in boxes], dtype=int)
        return np.split(np.concatenate(parts), ends)[:-1]


@torch.inference_mode()
def points_in_boxes(cascade: Cascade, store: PixelStore, rows: Tensor, boxes: Tensor) -> Tensor:
    """Run a cascade in boxes of faces whose pixels are stored.

    Args:
        cascade: On the device of ``store``.
        store: Pixels of the faces.
        rows: Of the faces in ``store``, (B,).
        boxes: Left, right, top, bottom, image px, (B, 4), on the CPU.

    Returns:
        Points after each stage, image px, (B, T, 5, 2), on the CPU.
    """
    device, count = store.pixels.device, len(boxes)
    shift, flip = torch.zeros(count, 2), torch.zeros(count, dtype=torch.bool)
    frames = view_frames(boxes, torch.zeros(count), flip, torch.ones(count), shift)
    canvas = canvas_window(boxes, store.image_size.cpu()[rows], flip, shift)
    crops = FaceCrops(store, rows.to(device), frames.to(device))
    found = cascade(crops, canvas.to(device)).cpu()
    low, high = boxes[:, None, None, 0::2], boxes[:, None, None, 1::2]
    points: Tensor = found * (high - low) + low
    return points


def _store(faces: Sequence[tuple[Image, Boxes]]) -> PixelStore:
    """Pixels of every face at all sizes, as in the training's cache."""
    widest = max(float(np.ptp(box.reshape(2, 2), axis=1).max()) for _, box in faces)
    levels = LEVELS + max(0, ceil(log2(widest / (FINEST_PX * 2**LEVELS))))
    pixels, shapes, origins, sizes = [], [], [], []
    for image, box in faces:
        x0, x1, y0, y1 = source_region(box, *image.shape[:2])
        region = pyramid(image[y0:y1, x0:x1], levels)
        pixels += [level.ravel() for level in region]
        shapes.append([level.shape for level in region])
        origins.append((x0, y0))
        sizes.append(image.shape[:2])
    counts = torch.tensor([len(level) for level in pixels])
    return PixelStore(
        pixels=torch.from_numpy(np.concatenate(pixels)),
        offset=(counts.cumsum(0) - counts).view(len(faces), levels),
        size=torch.tensor(shapes),
        origin=torch.tensor(origins),
        image_size=torch.tensor(sizes),
        digest=[""] * len(faces),
    )
