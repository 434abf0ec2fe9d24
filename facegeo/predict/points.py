"""Points of many faces in many images at once, by a trained cascade."""

from collections.abc import Sequence
from math import ceil, log2

import numpy as np
import torch
from torch import Tensor

from facegeo.geometry.crops import FaceCrops
from facegeo.geometry.windows import view_frames
from facegeo.landmarks.nets import Cascade
from facegeo.landmarks.pixels import LEVELS, PixelStore, pyramid, source_region
from facegeo.landmarks.views import canvas_window
from facegeo.predict.face import Boxes, Floats, Image

FINEST_PX = 10
"""A level more is kept for each time that a box is twice as wide as 2^LEVELS times this: a photo's
face may be larger than any that was trained on, and must still be averaged before it is sampled."""


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
        """Find the points of all faces.

        Args:
            images: RGB.
            boxes: Of each image's faces, px, (F, 4).

        Returns:
            For each image the points after every stage, px, (F, T, 5, 2).
        """
        places = [(image, box) for image, own in zip(images, boxes, strict=True) for box in own]
        parts = [
            self._find(places[start : start + self.batch])
            for start in range(0, len(places), self.batch)
        ]
        stages = len(self.cascade.stages)
        found = np.concatenate([np.zeros((0, stages, 5, 2), np.float32), *parts])
        return np.split(found, np.cumsum([len(own) for own in boxes], dtype=int))[:-1]

    def _find(self, places: Sequence[tuple[Image, Boxes]]) -> Floats:
        store = _store(places).to(self.device)
        box = torch.tensor(np.stack([one for _, one in places]), dtype=torch.float32)
        still = torch.zeros(len(box))
        shift, flip = torch.zeros(len(box), 2), torch.zeros(len(box), dtype=torch.bool)
        frames = view_frames(box, still, flip, torch.ones(len(box)), shift)
        canvas = canvas_window(box, store.image_size.cpu(), flip, shift)
        rows = torch.arange(len(box), device=self.device)
        crop = FaceCrops(store, rows, frames.to(self.device))
        found: Tensor = self.cascade(crop, canvas.to(self.device)).cpu()
        low, high = box[:, None, None, 0::2], box[:, None, None, 1::2]
        points: Floats = (found * (high - low) + low).numpy()
        return points


def _store(places: Sequence[tuple[Image, Boxes]]) -> PixelStore:
    """Pixels of every face at all its sizes, as the training's cache holds them."""
    widest = max(float(np.ptp(box.reshape(2, 2), axis=1).max()) for _, box in places)
    levels = LEVELS + max(0, ceil(log2(widest / (FINEST_PX * 2**LEVELS))))
    pixels, shapes, origins, sizes = [], [], [], []
    for image, box in places:
        x0, x1, y0, y1 = source_region(box, *image.shape[:2])
        region = pyramid(image[y0:y1, x0:x1], levels)
        pixels += [level.ravel() for level in region]
        shapes.append([level.shape for level in region])
        origins.append((x0, y0))
        sizes.append(image.shape[:2])
    counts = torch.tensor([len(level) for level in pixels])
    return PixelStore(
        pixels=torch.from_numpy(np.concatenate(pixels)),
        offset=(counts.cumsum(0) - counts).view(len(places), levels),
        size=torch.tensor(shapes),
        origin=torch.tensor(origins),
        image_size=torch.tensor(sizes),
        digest=[""] * len(places),
    )
