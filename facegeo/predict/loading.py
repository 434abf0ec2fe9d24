"""A predictor from the names of trained or exported models."""

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from facegeo.errors import UserError
from facegeo.export.onnx_model import OnnxCascade, OnnxNormals
from facegeo.landmarks.nets import Cascade
from facegeo.normals.fast import fast_generator
from facegeo.normals.generator import CasFNE
from facegeo.normals.maps import trained_coding
from facegeo.predict.detectors import Detect, Haar
from facegeo.predict.face import Boxes, Floats, Image
from facegeo.predict.normals import FaceNormals
from facegeo.predict.points import CascadePoints
from facegeo.predict.predictor import FindPoints, Predictor
from facegeo.training.model_file import load_model


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


RELEASED_NORMALS = "casfne-faces"
AUTHORS_SIZE = 256
"""Side of the faces that a generator was trained on which does not say so, px."""


def load(
    name: str | Path = "ccnn-lfpw",
    *,
    normals: str | Path | bool | None = None,
    detect: Detect | None = None,
    device: str = "auto",
    looks: int = 1,
) -> Predictor:
    """Load a predictor of points, and of normals if their model is named too.

    Args:
        name: A cascade: a released name, a model file, a run's folder or an exported ``.onnx``.
        normals: A generator of normals, named alike; True for the released ``casfne-faces``.
        detect: Finds the boxes of images for which none are given; by default OpenCV's Haar
            cascade.
        device: "cpu", "cuda", or "auto": CUDA where there is one. Exported models run on the CPU.
        looks: 2: look again in the box that the points found tell.

    Raises:
        UserError: If there is no such model, or it finds something else.
    """
    normals = _named(normals)
    for exported in (name, normals):
        if device == "cuda" and exported is not None and _is_exported(exported):
            raise UserError(f"device=cuda is for models that PyTorch runs, {exported} is not")
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    if device not in ("cpu", "cuda") or (device == "cuda" and not torch.cuda.is_available()):
        raise UserError(f"device must be cpu, auto, or cuda where there is one; got {device}")
    find_normals = None if normals is None else load_normals(normals, device)
    return Predictor(load_points(name, device), detect or Haar(), find_normals, looks)


def load_points(name: str | Path, device: str) -> FindPoints:
    """Load what finds points in boxes.

    Raises:
        UserError: If there is no such model, or it finds normals.
    """
    if _is_exported(name):
        from facegeo.export.onnx_model import OnnxCascade

        return ExportedPoints(OnnxCascade(name))
    model, _ = load_model(name)
    if not isinstance(model, Cascade):
        raise UserError(
            f"{name} finds normals: wanted a model of points; give it as normals={name} beside a "
            "cascade such as ccnn-lfpw"
        )
    return CascadePoints(model, device)


def load_normals(name: str | Path, device: str) -> FaceNormals:
    """Load what finds normals about points.

    Raises:
        UserError: If there is no such model, or it finds points.
    """
    if _is_exported(name):
        from facegeo.export.onnx_model import OnnxNormals

        exported = OnnxNormals(name, threads=0)
        fixed = exported.metadata.get("size", "")
        size = fixed if fixed.isdecimal() else exported.notes.get("size", AUTHORS_SIZE)
        coding = trained_coding(exported.notes)
        return FaceNormals(ExportedNormals(exported), int(size), coding=coding)
    model, notes = load_model(name)
    if isinstance(model, Cascade):
        raise UserError(f"normals={name} finds points: wanted a model of normals")
    size, coding = int(notes.get("size", AUTHORS_SIZE)), trained_coding(notes)
    return FaceNormals(_fastest(model), size, device, coding=coding)


def _named(normals: str | Path | bool | None) -> str | Path | None:
    """Name of the model of normals; commands pass "true" for the released one."""
    if str(normals).lower() == "true":
        return RELEASED_NORMALS
    if normals is None or isinstance(normals, bool) or str(normals).lower() == "false":
        return None
    return normals


def _fastest(model: nn.Module) -> nn.Module:
    """Return the form of a generator that infers fastest, with equal outputs."""
    return fast_generator(model) if isinstance(model, CasFNE) else model


def _is_exported(name: str | Path) -> bool:
    return Path(name).suffix.lower() == ".onnx"
