"""Surface normals of faces whose points are known, by a trained or an exported generator."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from facegeo.errors import UserError
from facegeo.export.onnx_model import OnnxNormals, is_exported
from facegeo.files.places import crop_square, five_point_outline, outline_mask
from facegeo.normals.maps import Mask, as_trained, resize_face, trained_coding
from facegeo.predict.photo import Face, Floats, Image
from facegeo.training.model_file import load_model
from facegeo.training.wing import fast_form

EYES_AND_MOUTH: Final = np.array(
    [[-0.344, -0.378], [0.344, -0.378], [-0.281, 0.398], [0.281, 0.398]]
)
"""Mean eyes and mouth corners of a face; x right, y down, in sizes of the face."""
NOSE: Final = np.array([0.0, -0.04])
# fmt: off
HALF: Final = np.array(
    [
        [-0.73, -0.36, -1.24, -0.83], [-0.73, -0.14, -1.25, -0.82], [-0.70, 0.06, -1.17, -0.77],
        [-0.67, 0.26, -1.08, -0.73], [-0.59, 0.48, -0.92, -0.67], [-0.45, 0.67, -0.67, -0.59],
        [-0.33, 0.77, -0.36, -0.41], [-0.17, 0.83, -0.01, -0.19], [0.0, 0.87, 0.03, -0.18],
        [-0.62, -0.55, -0.22, -0.08], [-0.53, -0.65, 0.09, 0.11], [-0.41, -0.69, 0.33, 0.26],
        [-0.26, -0.69, 0.52, 0.39], [-0.13, -0.66, 0.59, 0.44],
    ]
)
# fmt: on
"""Jaw and brow of the left half: x and y of a face seen from the front, and how far each moves
when the nose moves by one, along x and along y: when the head turns, points behind the eyes move
the other way."""
OUTLINE: Final = np.concatenate([HALF, HALF * [-1, 1, 1, 1]])
FARTHEST: Final = 0.4
"""Limit of the nose's move: a larger one means that its point is wrong."""


def outline_of(points: Floats) -> npt.NDArray[np.float64]:
    """Return points round a face: jaw and brows.

    Eyes and mouth corners give place, size and roll; the nose's place among them gives the turn.
    Fitted to 500 heads of ICT-FaceKit with its 68 points (half of them with expressions; yaw,
    pitch and roll with standard deviations of 12, 7 and 5 degrees). On 500 others the hull of these
    points overlaps that of the 68 by 0.91 (IoU, standard deviation 0.04), a circle in the box of
    ``five_point_outline`` by 0.82.

    Args:
        points: Left eye, right eye, nose tip, left and right mouth corner, px, (5, 2).

    Returns:
        Px, (28, 2), in no particular order; take their convex hull.
    """
    seen = points[[0, 1, 3, 4]].astype(np.float64)
    middle, mean = seen.mean(axis=0), EYES_AND_MOUTH.mean(axis=0)
    found, model = seen - middle, EYES_AND_MOUTH - mean
    size = np.square(model).sum()
    cosine = (model * found).sum() / size
    sine = (model[:, 0] * found[:, 1] - model[:, 1] * found[:, 0]).sum() / size
    turn = np.array([[cosine, -sine], [sine, cosine]])  # and scale
    nose = (points[2] - middle) @ turn / max(cosine**2 + sine**2, 1e-9) + mean - NOSE
    nose = nose.clip(-FARTHEST, FARTHEST)
    outline = OUTLINE[:, :2] + OUTLINE[:, 2:] * nose - mean
    return np.asarray(outline @ turn.T + middle, np.float64)


Generate = Callable[[Tensor], Sequence[Tensor]]
"""Maps faces (B, 3, S, S) in [0, 1] to the normals of t = 0, 1, ..., (B, 3, S, S) each."""
AUTHORS_SIZE = 256
"""Side of the faces that a generator was trained on if its notes do not say, px."""


class FaceNormals:
    """Finds normals of faces whose points are known.

    The square is that of ``PhotoFolder``: 1.2 times the box of a face's 68 points, estimated from
    its five; it moves into the image where it sticks out. The mask is the hull of ``outline_of``.

    Args:
        generate: A trained generator.
        size: Side S of the crops that it was trained on, px.
        device: Where it runs.
        batch: Faces that run at once.
        coding: Of the photos that it was trained on, see ``facegeo.normals.maps``.
    """

    def __init__(
        self,
        generate: Generate,
        size: int,
        device: str = "cpu",
        batch: int = 8,
        coding: str | None = None,
    ) -> None:
        if isinstance(generate, nn.Module):
            generate = generate.to(device).eval()
        self.generate, self.size, self.device, self.batch = generate, size, device, batch
        self.coding = coding

    @torch.inference_mode()
    def __call__(self, images: Sequence[Image], faces: Sequence[Face]) -> list[Face]:
        """Return faces with their normals, each from its own entry of ``images``, sRGB."""
        squares = [
            crop_square(five_point_outline(face.points.astype(float)), *image.shape[:2])
            for face, image in zip(faces, images, strict=True)
        ]
        found: list[Face] = []
        for start in range(0, len(faces), self.batch):
            some = range(start, min(start + self.batch, len(faces)))
            crops = np.stack([cut_out(images[row], squares[row], self.size) for row in some])
            pixels = torch.from_numpy(crops).to(self.device).permute(0, 3, 1, 2).float() / 255
            normals = self.generate(as_trained(pixels, self.coding))[-1].float().cpu()
            for row, one in zip(some, normals, strict=True):
                mask = face_mask(faces[row].points, squares[row], self.size)
                vectors = one.permute(1, 2, 0).contiguous().numpy()
                found.append(replace(faces[row], square=squares[row], normals=vectors, mask=mask))
        return found


def load_normals(name: str | Path, device: str) -> FaceNormals:
    """Load a model that finds normals around points.

    Args:
        name: Released name, model file, run folder or exported ``.onnx``.
        device: Where it runs; exported models run on the CPU.

    Raises:
        UserError: If there is no such model, or it finds something else.
    """
    if is_exported(name):
        exported = OnnxNormals(name, threads=0)
        fixed, notes = exported.metadata.get("size", ""), exported.notes
        size = fixed if fixed.isdecimal() else notes.get("size", AUTHORS_SIZE)

        def generate(faces: Tensor) -> list[Tensor]:
            return [torch.from_numpy(stage) for stage in exported(faces.cpu().numpy())]

        return FaceNormals(generate, int(size), coding=trained_coding(notes))
    model, notes = load_model(name)
    if (finds := getattr(model, "finds", None)) != "normals":
        raise UserError(f"normals={name} finds {finds}: wanted a model of normals")
    size = int(notes.get("size", AUTHORS_SIZE))
    return FaceNormals(fast_form(model), size, device, coding=trained_coding(notes))


def cut_out(image: Image, square: tuple[int, int, int], size: int) -> Image:
    """Return a square (left, top, side) of an image, averaged or enlarged to (size, size, 3)."""
    left, top, side = square
    return resize_face(image[top : top + side, left : left + side], size)


def face_mask(points: Floats, square: tuple[int, int, int], size: int) -> Mask:
    """Fill the outline of a face, estimated from its five points, in its crop; (size, size)."""
    left, top, side = square
    outline = (outline_of(points) - [left, top] + 0.5) * (size / side) - 0.5
    return outline_mask(outline, 0, 0, size)
