"""Exported models in the places of trained ones: the same calls, run by ONNX Runtime."""

from collections.abc import Sequence
from math import ceil, log2

import cv2
import numpy as np
import torch
from torch import Tensor

from facegeo.export.onnx_model import OnnxCascade, OnnxNormals
from facegeo.predict.face import Boxes, Floats, Image
from facegeo.predict.points import FINEST_PX, LEVELS


class ExportedPoints:
    """Finds points as ``CascadePoints`` does, one image after the other.

    Args:
        cascade: The exported file.
    """

    def __init__(self, cascade: OnnxCascade) -> None:
        self.cascade = cascade

    def __call__(self, images: Sequence[Image], boxes: Sequence[Boxes]) -> list[Floats]:
        """Find the points of all faces; arguments and result as of ``CascadePoints``."""
        return [self._find(image, own) for image, own in zip(images, boxes, strict=True)]

    def _find(self, image: Image, boxes: Boxes) -> Floats:
        """Points of one image's faces; a large face is found in an image shrunk to fit.

        The file holds no more levels than training needed.
        """
        halvings = [self._halvings(box) for box in boxes]
        found: dict[int, Floats] = {}
        for count in sorted(set(halvings)):
            rows = [row for row, own in enumerate(halvings) if own == count]
            shrink = 2**count
            size = (ceil(image.shape[1] / shrink), ceil(image.shape[0] / shrink))
            seen = cv2.resize(image, size, interpolation=cv2.INTER_AREA) if count else image
            scale = np.array([size[0] / image.shape[1], size[1] / image.shape[0]])
            places = (boxes[rows] + 0.5) * scale.repeat(2) - 0.5
            points = (self.cascade(np.asarray(seen, np.uint8), places) + 0.5) / scale - 0.5
            found |= dict(zip(rows, points.astype(np.float32), strict=True))
        stages = [found[row] for row in range(len(boxes))]
        return np.stack(stages) if stages else np.zeros((0, 1, 5, 2), np.float32)

    @staticmethod
    def _halvings(box: Boxes) -> int:
        side = float(np.ptp(box.reshape(2, 2), axis=1).max())
        return max(0, ceil(log2(side / (2 * FINEST_PX * 2**LEVELS))))


class ExportedNormals:
    """Finds normals as a generator does.

    Args:
        generator: The exported file.
    """

    def __init__(self, generator: OnnxNormals) -> None:
        self.generator = generator

    def __call__(self, faces: Tensor) -> list[Tensor]:
        """Return the normals of t = 0, 1, ... for faces (B, 3, S, S) in [0, 1]."""
        return [torch.from_numpy(stage) for stage in self.generator(faces.cpu().numpy())]
