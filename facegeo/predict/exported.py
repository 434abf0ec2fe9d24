"""Exported models in the places of trained ones: the same calls, run by ONNX Runtime."""

from collections.abc import Sequence

import torch
from torch import Tensor

from facegeo.export.onnx_model import OnnxCascade, OnnxNormals
from facegeo.predict.face import Boxes, Floats, Image


class ExportedPoints:
    """Finds points as ``CascadePoints`` does, one image after the other.

    Args:
        cascade: The exported file.
    """

    def __init__(self, cascade: OnnxCascade) -> None:
        self.cascade = cascade

    def __call__(self, images: Sequence[Image], boxes: Sequence[Boxes]) -> list[Floats]:
        """Find the points of all faces; arguments and result as of ``CascadePoints``."""
        return [self.cascade(image, own) for image, own in zip(images, boxes, strict=True)]


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
