"""Normals of the faces in a photo."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from facegeo.files.places import crop_square, five_point_outline, outline_mask
from facegeo.normals.maps import Mask, as_trained, resize_face
from facegeo.predict.face import Face, Floats, Image

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
when the nose moves by one, along x and along y: when the head turns, what lies behind the eyes goes
the other way."""
OUTLINE: Final = np.concatenate([HALF, HALF * [-1, 1, 1, 1]])
FARTHEST: Final = 0.4
"""Most that the nose counts to move; beyond, its point is wrong."""


def outline_of(points: Floats) -> npt.NDArray[np.float64]:
    """Return points round a face: jaw and brows.

    Eyes and mouth corners tell place, size and roll; where the nose stands among them, the turn.
    Fitted to 500 heads of ICT-FaceKit with its 68 points (half of them with expressions; yaw,
    pitch and roll with standard deviations of 12, 7 and 5 degrees). On 500 others the hull of these
    points overlaps that of the 68 by 0.91 (IoU, standard deviation 0.04), a circle in the box of
    ``five_point_outline`` by 0.82.

    Args:
        points: Left eye, right eye, nose tip, left and right mouth corner, px, (5, 2).

    Returns:
        Px, (28, 2), in no order that matters to a hull.
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


class FaceNormals:
    """Finds normals of faces whose points are known.

    The square is that of ``PhotoFolder``: 1.2 times the box of a face's 68 points, which its five
    tell; it moves into the image where it sticks out. The mask is the hull of ``outline_of``.

    Args:
        generate: A trained generator.
        size: Side S of the cut-outs that it was trained on, px.
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
        """Return faces with their normals.

        Args:
            images: One a face, sRGB; many faces may share one.
            faces: With points.
        """
        found: list[Face] = []
        for start in range(0, len(faces), self.batch):
            some = faces[start : start + self.batch]
            squares = [
                crop_square(five_point_outline(face.points.astype(float)), *image.shape[:2])
                for face, image in zip(some, images[start:], strict=False)
            ]
            cuts = [
                cut_out(image, square, self.size)
                for image, square in zip(images[start:], squares, strict=False)
            ]
            batch = torch.from_numpy(np.stack(cuts)).to(self.device).permute(0, 3, 1, 2)
            shown = as_trained(batch.float() / 255, self.coding)
            normals = self.generate(shown)[-1].float().cpu()
            for face, square, one in zip(some, squares, normals, strict=True):
                place = face_mask(face.points, square, self.size)
                vectors = one.permute(1, 2, 0).contiguous().numpy()
                found.append(replace(face, square=square, normals=vectors, mask=place))
        return found


def cut_out(image: Image, square: tuple[int, int, int], size: int) -> Image:
    """Return a square (left, top, side) of an image, averaged or enlarged to (size, size, 3)."""
    left, top, side = square
    return resize_face(image[top : top + side, left : left + side], size)


def face_mask(points: Floats, square: tuple[int, int, int], size: int) -> Mask:
    """Fill the outline of a face, told by its five points, in its cut-out; (size, size)."""
    left, top, side = square
    outline = (outline_of(points) - [left, top] + 0.5) * (size / side) - 0.5
    return outline_mask(outline, 0, 0, size)
