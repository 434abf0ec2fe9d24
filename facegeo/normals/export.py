"""How a generator of normals is exported, and how far an exported one is from PyTorch's."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from copy import deepcopy
from typing import Any, ClassVar, cast

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram

from facegeo.errors import UserError
from facegeo.normals.maps import trained_coding
from facegeo.training.wing import Costs, Difference, ExportForm, Scene, fast_form

FACES = 4
"""Faces, and noise images, that a generator, which is slow, is compared on."""
DEFAULT_SIDE = 256
"""Their side where any is allowed, px."""


class NormalsModel(nn.Module):
    """A base of networks that map images (B, 3, H, W) to normals.

    Attributes:
        t: Refinements of a forward pass by default; 0 in models that have none.
    """

    finds = "normals"
    t: int = 0

    def costs(self) -> Costs:
        """Parameters and multiplications for one image of 256x256, under ``t0``."""
        from facegeo.normals.cost import other_costs

        return other_costs(self)

    def export_form(
        self,
        precision: str,
        notes: Mapping[str, Any],
        t: int | None = None,
        size: int | None = None,
    ) -> NormalsForm:
        """Return how it is exported.

        Raises:
            UserError: If ``t`` is not 0 and the model was built without refinements.
        """
        if t and not self.t:
            raise UserError(f"t must be 0 for a model built without refinements, got {t}")
        return NormalsForm(self, precision, notes, self.t if t is None else t, size)


class NormalsForm(ExportForm):
    """A generator with a fixed number of refinements for any number of images.

    images (B, 3, H, W) in [0, 1] in; t + 1 maps of normals (B, 3, H, W) out, from the initial to
    the last, in float32.

    Args:
        generator: Trained.
        precision: "fp16": weights and maps in float16; images and normals stay in float32.
        notes: The model's.
        t: Refinements.
        size: Side of the images, px; None: sides that are multiples of 32.
    """

    task = "normals of face images"
    inputs = ("images",)
    most_faces = FACES
    limits: ClassVar = {
        "fp32": (1e-4, "in a component of a normal at most"),
        "fp16": (0.2, "degrees on average"),
        "8 bits": (1.0, "degrees on average"),
    }
    columns: ClassVar = {"mean deg": 5, "worst": 7}
    note = (
        "mean: angle to PyTorch's normals (fp32), all pixels and stages; worst: largest difference "
        "of a component."
    )

    def __init__(
        self,
        generator: nn.Module,
        precision: str = "fp32",
        notes: Mapping[str, Any] | None = None,
        t: int = 0,
        size: int | None = None,
    ) -> None:
        self.generator, self.t, self.size = generator, t, size
        self.kind = torch.float16 if precision == "fp16" else torch.float32
        self.outputs = tuple(f"normals_{i}" for i in range(t + 1))
        notes, self.on_noise = notes or {}, precision != "8 bits"
        self.side = size or DEFAULT_SIDE
        if not self.on_noise:
            self.side = int(notes.get("size", self.side))
        side = f"{size} px" if size else "multiples of 32 px"
        self.texts = {
            "t": str(t),
            "size": str(size or "any multiple of 32"),
            "classes": json.dumps(["x", "y", "z"]),
            "inputs": f"images: red, green, blue in [0, 1], float32, (B, 3, H, W), sides {side}, "
            "coded as coding says",
            "coding": trained_coding(notes) or "unknown: as the training's photos",
            "outputs": "normals_0 to normals_t: the initial normals and those after each "
            "refinement, float32, (B, 3, H, W), unit length; the last is the answer",
            "frame": "x right, y up, z to the camera",
            "normalisation": "none outside; a division by ImageNet's deviation, if any, is inside",
            "metric": "mean_deg: mean angle to the true normal over face pixels, degrees",
        }

    def program(self) -> ExportedProgram:
        """Trace the generator."""
        generator = fast_form(self.generator, doubling="quarters")  # fastest in ONNX Runtime
        module = _Traced(deepcopy(generator).eval().to(self.kind), self.t, self.kind)
        side, shapes = self.size or 64, {0: Dim("B", min=1)}
        if self.size is None:
            shapes |= {2: 32 * Dim("H_32", min=1), 3: 32 * Dim("W_32", min=1)}
        images = torch.rand(2, 3, side, side)
        with torch.no_grad():
            return torch.export.export(module.eval(), (images,), dynamic_shapes={"images": shapes})

    def plain(self, *inputs: Tensor) -> Sequence[Tensor]:
        """Normals (B, 3, S, S) of each stage."""
        return cast(Sequence[Tensor], self.generator(*inputs, self.t))

    @torch.inference_mode()
    def compare(
        self, exported: Callable[..., Sequence[Tensor]], inputs: str, scenes: Iterable[Scene]
    ) -> Difference:
        """Compare on the faces of scenes, one by one; no more than ``FACES`` of them."""
        squares = face_squares(scenes, self.side)
        degrees, worst = [], []
        for square in squares[:: max(1, len(squares) // FACES)]:
            image = torch.from_numpy(square[None])
            wanted, got = torch.stack(list(self.plain(image))), torch.stack(list(exported(image)))
            worst.append((got - wanted).abs().max())
            sine, cosine = torch.linalg.cross(got, wanted, dim=2).norm(dim=2), (got * wanted).sum(2)
            degrees.append(torch.rad2deg(torch.atan2(sine, cosine)).mean())
        figures = torch.stack(degrees).mean().item(), torch.stack(worst).max().item()
        return Difference(inputs, len(worst), figures)


class _Traced(nn.Module):
    """A generator with t fixed and float32 outside."""

    def __init__(self, generator: nn.Module, t: int, kind: torch.dtype) -> None:
        super().__init__()
        self.generator, self.t, self.kind = generator, t, kind

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        found = cast(tuple[Tensor, ...], self.generator(images.to(self.kind), self.t))
        return tuple(normals.float() for normals in found)


def face_squares(scenes: Iterable[Scene], size: int) -> npt.NDArray[np.float32]:
    """Cut out the boxes as images of one size in [0, 1], (N, 3, S, S)."""
    squares = []
    for scene in scenes:
        for left, right, top, bottom in np.round(scene.boxes).astype(int):
            inside = scene.image[max(top, 0) : bottom + 1, max(left, 0) : right + 1]
            squares.append(cv2.resize(inside, (size, size), interpolation=cv2.INTER_AREA))
    stacked: npt.NDArray[np.float32] = np.stack(squares).astype(np.float32)
    return stacked.transpose(0, 3, 1, 2) / np.float32(255)
