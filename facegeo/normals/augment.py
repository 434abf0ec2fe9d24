"""Random views of a face with its normals, and random changes of its colours.

Draws are a function of (seed, epoch, row) only: they are the same for any batch size and any
number of workers. A flip mirrors pixels and negates x of the normals; a rotation turns
pixels and the (x, y) of the normals; a scale moves pixels only.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from types import ModuleType
from typing import Annotated, Any, cast

import numpy as np
import numpy.typing as npt
import torch
from pydantic import Field
from torch import Tensor
from torch.nn.functional import affine_grid, avg_pool2d, grid_sample

from facegeo.checks import Share, checked
from facegeo.errors import UserError
from facegeo.geometry.normals import flip as flip_normals
from facegeo.geometry.normals import rotate_vectors
from facegeo.training.stream import seeded

NO_UPDATE = "NO_ALBUMENTATIONS_UPDATE"


class Photometric:
    """Transforms of albumentations in their order, drawn anew for each sample and epoch.

    albumentations' own random numbers repeat themselves across workers and epochs.

    Args:
        transforms: Options by name of the transform, such as
            ``{"RandomBrightnessContrast": {"p": 0.5}}``.

    Raises:
        UserError: If albumentations is not installed, or a transform is unknown, moves pixels or
            does not know an option.
    """

    def __init__(self, transforms: Mapping[str, Mapping[str, Any]]) -> None:
        self.transforms = {name: dict(options) for name, options in transforms.items()}
        library = _albumentations()
        self._compose = library.Compose(
            [_transform(library, name, options) for name, options in self.transforms.items()]
        )

    def __reduce__(self) -> tuple[type[Photometric], tuple[Mapping[str, Mapping[str, Any]]]]:
        """Build it anew in a loader's process, where albumentations is imported the same way."""
        return Photometric, (self.transforms,)

    def __call__(
        self, image: npt.NDArray[np.uint8], seed: int, epoch: int, row: int
    ) -> npt.NDArray[np.uint8]:
        """Change the colours of one RGB image, shape (H, W, 3); the input stays as it is."""
        self._compose.set_random_seed(seeded(seed, 4, epoch, row).initial_seed() % 2**32)
        return cast(npt.NDArray[np.uint8], self._compose(image=image)["image"])


def _transform(library: ModuleType, name: str, options: Mapping[str, Any]) -> object:
    kind = getattr(library, name, None)
    key = f"data.augment.photometric.transforms.{name}"
    if not isinstance(kind, type) or not issubclass(kind, library.ImageOnlyTransform):
        known = "a transform of albumentations that leaves pixels where they are"
        raise UserError(f"{key}: wanted {known}, such as RandomGamma, got {name}")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", UserWarning)  # it only warns of unknown options
            return kind(**options)
    except (TypeError, ValueError, UserWarning) as error:
        text = " ".join(str(error).split())
        raise UserError(f"{key}: {text}; change its options") from error


def _albumentations() -> ModuleType:
    """Import albumentations without its check for newer versions on the network."""
    before = os.environ.get(NO_UPDATE)
    os.environ[NO_UPDATE] = "1"
    try:
        import albumentations
    except ImportError as error:
        raise UserError(
            f"data.augment.photometric needs albumentations ({error}): "
            'pip install "facegeo[augment]", or set data.augment.photometric=null'
        ) from error
    finally:
        if before is None:
            del os.environ[NO_UPDATE]
        else:
            os.environ[NO_UPDATE] = before
    return cast(ModuleType, albumentations)


SHORTEST = 0.05
"""Opposite normals that meet in one pixel leave less than this, and no direction."""
Turn = Annotated[float, Field(ge=0, le=180)]
"""Largest rotation either way, degrees."""


@dataclass(frozen=True, eq=False)
class View:
    """Views of B faces.

    Attributes:
        flip: Whether the face is mirrored, bool, (B,).
        angle: Rotation, radians, counter-clockwise as seen, (B,).
        scale: How much larger the face is seen, (B,).
        shift: Movement of the face right and down, half sides of the picture, (B, 2).
    """

    flip: Tensor
    angle: Tensor
    scale: Tensor
    shift: Tensor

    @classmethod
    def still(cls, count: int, device: torch.device) -> View:
        """Faces as they are."""
        zero = torch.zeros(count, device=device)
        return cls(zero > 0, zero, zero + 1, torch.zeros(count, 2, device=device))

    def affine(self) -> Tensor:
        """Maps from the picture to the face's square, both from -1 to 1, y down, (B, 2, 3)."""
        cos, sin = torch.cos(self.angle) / self.scale, torch.sin(self.angle) / self.scale
        turn = torch.stack([cos, -sin, sin, cos], dim=1).unflatten(1, (2, 2))
        return torch.cat([turn, -turn @ self.shift[..., None]], dim=2)

    def source(self, squares: Tensor, height: int, width: int) -> Tensor:
        """Maps from the picture to a larger one, (B, 2, 3), see ``sample_faces``.

        Args:
            squares: x and y of the middle and side of each face's square, px, (B, 3).
            height: Of the larger picture, px.
            width: Of the larger picture, px.
        """
        size = squares.new_tensor([width, height])
        maps = self.affine() * (squares[:, 2:] / size)[..., None]
        maps[:, :, 2] += (2 * squares[:, :2] + 1) / size - 1
        return maps

    def places(self, size: int) -> Tensor:
        """Place in the face's square of each pixel of a picture, -1 to 1, (B, S, S, 2)."""
        maps = self.affine()
        return affine_grid(maps, [len(maps), 1, size, size], align_corners=False)


@checked(prefix="data.view.")
@dataclass(frozen=True)
class FaceView:
    """How far training faces are moved. All numbers are ours.

    Attributes:
        flip: Share of mirrored faces.
        rotation_deg: Largest rotation, either way.
        scale_spread: Scale is exp(uniform(-s, s)).
        shift: Largest shift along x and y, shares of the square's side.
    """

    flip: Share = 0.5
    rotation_deg: Turn = 20.0
    scale_spread: Share = 0.15
    shift: Annotated[float, Field(ge=0, le=0.5)] = 0.08

    def of(self, numbers: Tensor) -> View:
        """Return the views of random numbers, uniform in [0, 1), (B, 5)."""
        either = 2 * numbers - 1
        return View(
            flip=numbers[:, 0] < self.flip,
            angle=torch.deg2rad(either[:, 1] * self.rotation_deg),
            scale=torch.exp(either[:, 2] * self.scale_spread),
            shift=2 * self.shift * either[:, 3:5],
        )


@checked(prefix="data.augment.")
@dataclass(frozen=True)
class NormalAugment:
    """Random changes of a training face; new in every epoch.

    Attributes:
        flip: Share of mirrored faces.
        rotation_deg: Largest rotation about the image's centre, either way.
        scale_spread: Scale is exp(uniform(-s, s)).
        photometric: Changes colours; None leaves them.
    """

    flip: Share = 0.0
    rotation_deg: Turn = 0.0
    scale_spread: Share = 0.0
    photometric: Photometric | None = None

    @property
    def turns(self) -> bool:
        """Whether pixels are interpolated: a flip on its own moves them exactly."""
        return self.rotation_deg > 0 or self.scale_spread > 0

    def draw(self, seed: int, epochs: Tensor, rows: Tensor, count: int) -> View:
        """Draw the views of a batch, without shift.

        Args:
            seed: Of the run.
            epochs: Epoch of each sample, int64, (B,).
            rows: Row of each sample, int64, (B,).
            count: Rows of the data set.
        """
        fresh = torch.full((len(rows), 5), 0.5)  # the last two numbers: no shift
        for epoch in epochs.unique().tolist():
            chosen = epochs == epoch
            fresh[chosen, :3] = _uniform(seed, epoch, count)[rows[chosen]]
        return FaceView(self.flip, self.rotation_deg, self.scale_spread, 0.0).of(fresh)


def flip_faces(
    image: Tensor, normal: Tensor, mask: Tensor, flip: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Mirror some faces of a batch; twice gives the input, bit by bit.

    Args:
        image: (B, 3, S, S).
        normal: x right, y up, z to the camera, (B, 3, S, S).
        mask: Bool, (B, 1, S, S).
        flip: Which faces, bool, (B,).
    """
    chosen = flip[:, None, None, None]
    return (
        torch.where(chosen, image.flip(-1), image),
        torch.where(chosen, flip_normals(normal), normal),
        torch.where(chosen, mask.flip(-1), mask),
    )


def turn_faces(
    image: Tensor, normal: Tensor, mask: Tensor, angle: Tensor, scale: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Rotate and scale faces about the centre of the image, bilinearly.

    Normals are interpolated over the mask's pixels only and get their unit length back. A pixel
    belongs to the face if more than half of its area does; pixels from outside the image never
    do, and repeat the border in the image.

    Args:
        image: (B, 3, S, S).
        normal: Unit normals, x right, y up, z to the camera, zero off the mask, (B, 3, S, S).
        mask: Bool, (B, 1, S, S).
        angle: Radians, counter-clockwise as seen, (B,).
        scale: How much larger the face is seen, (B,).
    """
    view = replace(View.still(len(angle), angle.device), angle=angle, scale=scale)
    return sample_faces(image, normal, mask, view.affine(), angle, image.shape[-1])


def sample_faces(
    image: Tensor,
    normal: Tensor,
    mask: Tensor,
    source: Tensor,
    angle: Tensor,
    size: int,
    over: int = 1,
) -> tuple[Tensor, Tensor, Tensor]:
    """Cut moved and turned faces out of pictures; see ``turn_faces``.

    Args:
        image: (B, C, H, W); pixels outside repeat the border.
        normal: Unit normals, x right, y up, z to the camera, zero off the mask, (B, 3, H, W).
        mask: Bool, (B, 1, H, W).
        source: Affine maps from the cut-out to the picture, both from -1 to 1 between outer edges,
            y down, (B, 2, 3).
        angle: By which ``source`` turns the faces, radians, counter-clockwise as seen, (B,).
        size: Side S of the cut-outs, px.
        over: Average so many samples a pixel along each side: for cut-outs that shrink faces.

    Returns:
        Image (B, C, S, S), normals (B, 3, S, S) and mask (B, 1, S, S).
    """
    shape = [len(image), 1, size * over, size * over]
    grid = affine_grid(source, shape, align_corners=False)
    seen = grid_sample(image, grid, padding_mode="border", align_corners=False)
    face = torch.cat([normal, mask.to(normal.dtype)], dim=1)
    face = grid_sample(face, grid, align_corners=False)
    if over > 1:
        seen, face = avg_pool2d(seen, over), avg_pool2d(face, over)
    moved, weight = face.split([3, 1], dim=1)
    length = lengths(moved)
    known = (weight > 0.5) & (length > SHORTEST)
    return seen, rotate_vectors(moved / length.clamp_min(SHORTEST), angle) * known, known


def lengths(vectors: Tensor) -> Tensor:
    """Lengths of vectors (B, 3, S, S): (B, 1, S, S); ``norm`` takes fifty times as long."""
    return vectors.square().sum(dim=1, keepdim=True).sqrt()


@lru_cache(maxsize=4)
def _uniform(seed: int, epoch: int, count: int) -> Tensor:
    return torch.rand(count, 3, generator=seeded(seed, 3, epoch))
