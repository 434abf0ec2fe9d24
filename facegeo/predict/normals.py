"""Normals of faces, cut out about their points by the rule used in training."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor, nn

from facegeo.data.coding import as_trained
from facegeo.data.face_outline import crop_square, outline_mask
from facegeo.data.normal_files import Mask, resize_face
from facegeo.data.photo_places import five_point_outline
from facegeo.predict.face import Face, Floats, Image
from facegeo.predict.outline import outline_of

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
        coding: Of the photos that it was trained on, see ``facegeo.data.coding``.
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
