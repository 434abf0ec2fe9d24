"""Compare an exported model with PyTorch on faces."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from facegeo.errors import UserError
from facegeo.files.images import ImageError, decode
from facegeo.files.tables import Cell, Table
from facegeo.landmarks.data import LFPWDataModule
from facegeo.landmarks.graph import CascadeGraph
from facegeo.landmarks.lists import read_list
from facegeo.landmarks.metrics import LandmarkErrors
from facegeo.landmarks.nets import Cascade

NOISE_SIZES = ((61, 57), (120, 150), (240, 200), (240, 320))
"""Height and width of the noise images, px."""


@dataclass(frozen=True, eq=False)
class Scene:
    """An image and its faces.

    Attributes:
        image: Red, green, blue, uint8, (H, W, 3).
        boxes: left, right, top, bottom, px, (F, 4).
        points: True points, px, (F, 5, 2), where they are known.
    """

    image: npt.NDArray[np.uint8]
    boxes: npt.NDArray[np.float64]
    points: npt.NDArray[np.float64] | None = None


def noise_scenes(seed: int = 0) -> list[Scene]:
    """Clouds of colour with boxes of all sizes, some partly outside: the same every time."""
    random = np.random.default_rng(seed)
    scenes = []
    for height, width in NOISE_SIZES:
        raw = random.uniform(0, 255, (height, width, 3))
        image = 127.5 + 4 * (cv2.GaussianBlur(raw, (0, 0), 2) - 127.5)
        sides = random.uniform(0.3, 0.9, (4, 1)) * min(height, width)
        low = random.uniform(0, 1, (4, 2)) * (width, height) - sides / 2
        boxes = np.stack([low, low + sides], axis=2).reshape(4, 4)
        scenes.append(Scene(np.clip(image, 0, 255).astype(np.uint8), boxes))
    return scenes


def listed_scenes(data: LFPWDataModule, split: str, most: int | None = None) -> Iterator[Scene]:
    """Faces of a list, one a scene.

    Args:
        data: Names the lists.
        split: "train" or "test".
        most: No more than so many, spread evenly over the list; None: all.

    Raises:
        UserError: If the list or an image cannot be read.
    """
    faces = read_list(data.root, data.lists[split], data.on_error)
    count = len(faces) if most is None else min(most, len(faces))
    for row in np.linspace(0, len(faces) - 1, count).astype(int):
        path = faces.path(row)
        try:
            image = decode(path.read_bytes())
        except (ImageError, OSError) as error:
            raise UserError(f"{path}: wanted an image, got {error}; copy it again") from error
        yield Scene(image, faces.boxes[row : row + 1], faces.points[row : row + 1])


def face_squares(scenes: Sequence[Scene], size: int) -> npt.NDArray[np.float32]:
    """Cut out the boxes as images of one size in [0, 1], (N, 3, S, S)."""
    squares = []
    for scene in scenes:
        for left, right, top, bottom in np.round(scene.boxes).astype(int):
            inside = scene.image[max(top, 0) : bottom + 1, max(left, 0) : right + 1]
            squares.append(cv2.resize(inside, (size, size), interpolation=cv2.INTER_AREA))
    stacked: npt.NDArray[np.float32] = np.stack(squares).astype(np.float32)
    return stacked.transpose(0, 3, 1, 2) / np.float32(255)


Floats = npt.NDArray[np.floating[Any]]
FindPoints = Callable[[npt.NDArray[np.uint8], Floats], Floats]
FindNormals = Callable[[Floats], tuple[Floats, ...]]
EIGHT_BITS = "8 bits"
"""Precision of a file for facegeo itself."""


@dataclass(frozen=True)
class Limits:
    """The largest differences allowed, and the columns in which they are shown.

    Attributes:
        worst: Of a value in fp32.
        worst_unit: Its unit.
        mean: By precision, on average.
        mean_unit: Its unit.
        columns: Headings of mean, worst and further figures.
        note: Explains them.
    """

    worst: float
    worst_unit: str
    mean: Mapping[str, float]
    mean_unit: str
    columns: tuple[str, ...]
    note: str


POINTS = Limits(
    *(1e-3, "px at most"),
    *({"fp16": 0.05, EIGHT_BITS: 0.5}, "% of the box width on average"),
    ("mean %", "worst px", "error %", "exported %"),
    "mean, worst: distance to PyTorch's points (fp32), of all faces, points and stages, in % of "
    "the box width and in px; error, exported: error of the last stage, PyTorch's and the "
    "exported model's, in % of the box width.",
)
NORMALS = Limits(
    *(1e-4, "in a component of a normal at most"),
    *({"fp16": 0.2, EIGHT_BITS: 1.0}, "degrees on average"),
    ("mean deg", "worst"),
    "mean: angle to PyTorch's normals (fp32), all pixels and stages; worst: largest difference "
    "of a component.",
)
DIGITS = {"mean %": 5, "worst px": 5, "error %": 4, "exported %": 4, "mean deg": 5, "worst": 7}


@dataclass(frozen=True)
class Difference:
    """Difference between the outputs of two models.

    Attributes:
        inputs: Name of the inputs.
        count: Faces.
        mean: Mean over faces and points in % of the box width, or over pixels in degrees.
        worst: Largest one in px, or of a component of a normal.
        error_pct: Errors of the last stage where points are known, % of the box width: PyTorch's
            and the exported model's.
    """

    inputs: str
    count: int
    mean: float
    worst: float
    error_pct: tuple[float, float] | None = None


@torch.inference_mode()
def points_difference(
    cascade: Cascade, exported: FindPoints, inputs: str, scenes: Iterable[Scene]
) -> Difference:
    """Compare an exported cascade with PyTorch's in fp32 on all faces and stages."""
    graph = CascadeGraph(cascade).eval()
    errors = [LandmarkErrors(), LandmarkErrors()]
    distances, width, known = [], [], True
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # a single face gains nothing from more threads
    for scene in scenes:
        wanted = graph(torch.from_numpy(scene.image), torch.from_numpy(scene.boxes))
        got = torch.from_numpy(exported(scene.image, scene.boxes))
        distances.append((got - wanted).norm(dim=-1))
        width.append(torch.from_numpy(scene.boxes[:, 1] - scene.boxes[:, 0]))
        known = known and scene.points is not None
        if scene.points is not None:
            for metric, found in zip(errors, (wanted, got), strict=True):
                metric.update(found[:, -1], torch.from_numpy(scene.points), width[-1])
    torch.set_num_threads(threads)
    distance, sides = torch.cat(distances), torch.cat(width)
    mean = 100 * (distance / sides[:, None, None]).mean().item()
    found = [metric.compute()["error_pct"].item() for metric in errors] if known else None
    pair = None if found is None else (found[0], found[1])
    return Difference(inputs, len(sides), mean, distance.max().item(), pair)


@torch.inference_mode()
def normals_difference(
    generator: nn.Module, t: int, exported: FindNormals, inputs: str, images: Floats
) -> Difference:
    """Compare an exported generator with PyTorch's in fp32 on images (N, 3, S, S), one by one."""
    degrees, worst = [], []
    for image in images:
        one: Tensor = torch.from_numpy(image[None])
        wanted = torch.stack(generator(one, t))
        got = torch.stack([torch.from_numpy(stage) for stage in exported(one.numpy())])
        worst.append((got - wanted).abs().max())
        sine, cosine = torch.linalg.cross(got, wanted, dim=2).norm(dim=2), (got * wanted).sum(2)
        degrees.append(torch.rad2deg(torch.atan2(sine, cosine)).mean())
    return Difference(
        inputs, len(images), torch.stack(degrees).mean().item(), torch.stack(worst).max().item()
    )


def check_parity(found: Iterable[Difference], precision: str, limits: Limits) -> None:
    """See that an exported model is close enough.

    Raises:
        UserError: If not, with the difference found and the one allowed.
    """
    for one in found:
        value, allowed, unit = one.worst, limits.worst, limits.worst_unit
        if precision != "fp32":
            value, allowed, unit = one.mean, limits.mean[precision], limits.mean_unit
        if not value <= allowed:  # so that NaN does not pass
            raise UserError(
                f"the exported model differs from PyTorch's on {one.inputs} by {value:.3g} {unit}, "
                f"allowed is {allowed:g}: the file is not kept; try another precision or "
                "format, or report it"
            )


def parity_table(found: Iterable[Difference], title: str, limits: Limits) -> Table:
    """One row for each kind of input."""
    rows: list[tuple[Cell, ...]] = []
    for one in found:
        figures: tuple[Cell, ...] = (one.mean, one.worst, *(one.error_pct or (None, None)))
        rows.append((one.inputs, one.count, *figures[: len(limits.columns)]))
    columns = ("inputs", "faces", *limits.columns)
    return Table(title, columns, tuple(rows), limits.note, DIGITS)
