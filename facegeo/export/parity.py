"""How far an exported model is from the one it was made of."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from facegeo.errors import UserError
from facegeo.export.scenes import Scene
from facegeo.metrics.landmark import LandmarkErrors
from facegeo.models.cascade_graph import CascadeGraph
from facegeo.models.ccnn import Cascade
from facegeo.tables import Cell, Table

Floats = npt.NDArray[np.floating[Any]]
FindPoints = Callable[[npt.NDArray[np.uint8], Floats], Floats]
FindNormals = Callable[[Floats], tuple[Floats, ...]]

WORST_PX, WORST_COMPONENT = 1e-3, 1e-4
"""Largest difference allowed in fp32: of a point, px; of a normal's component."""
EIGHT_BITS = "8 bits"
"""Precision of a file for facegeo itself."""
MEAN_PCT = {"fp16": 0.05, EIGHT_BITS: 0.5}
"""Mean difference of points allowed, in % of the box width."""
MEAN_DEG = {"fp16": 0.2, EIGHT_BITS: 1.0}
"""Mean angle between normals allowed."""


@dataclass(frozen=True)
class Difference:
    """How far answers are apart.

    Attributes:
        inputs: What was answered to.
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
    apart, width, known = [], [], True
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # of one face there is nothing to share out, and waiting costs more
    for scene in scenes:
        wanted = graph(torch.from_numpy(scene.image), torch.from_numpy(scene.boxes))
        got = torch.from_numpy(exported(scene.image, scene.boxes))
        apart.append((got - wanted).norm(dim=-1))
        width.append(torch.from_numpy(scene.boxes[:, 1] - scene.boxes[:, 0]))
        known = known and scene.points is not None
        if scene.points is not None:
            for metric, found in zip(errors, (wanted, got), strict=True):
                metric.update(found[:, -1], torch.from_numpy(scene.points), width[-1])
    torch.set_num_threads(threads)
    distance, sides = torch.cat(apart), torch.cat(width)
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


def check_points(found: Iterable[Difference], precision: str) -> None:
    """See that a cascade is near enough.

    Raises:
        UserError: If not, with what was found and what is allowed.
    """
    for one in found:
        if precision == "fp32":
            _check(one, one.worst, WORST_PX, "px at most")
        else:
            _check(one, one.mean, MEAN_PCT[precision], "% of the box width on average")


def check_normals(found: Iterable[Difference], precision: str) -> None:
    """See that a generator is near enough.

    Raises:
        UserError: If not, with what was found and what is allowed.
    """
    for one in found:
        if precision == "fp32":
            _check(one, one.worst, WORST_COMPONENT, "in a component of a normal at most")
        else:
            _check(one, one.mean, MEAN_DEG[precision], "degrees on average")


def _check(one: Difference, value: float, allowed: float, unit: str) -> None:
    if not value <= allowed:  # so that NaN does not pass
        raise UserError(
            f"the exported model differs from PyTorch's on {one.inputs} by {value:.3g} {unit}, "
            f"allowed is {allowed:g}: the file is not kept; try another precision or "
            "format, or report it"
        )


def parity_table(found: Iterable[Difference], title: str, points: bool) -> Table:
    """One row for each kind of input."""
    rows: list[tuple[Cell, ...]] = []
    for one in found:
        pair: tuple[Cell, ...] = one.error_pct or (None, None)
        rows.append((one.inputs, one.count, one.mean, one.worst, *(pair if points else ())))
    unit = ("mean %", "worst px", "error %", "exported %") if points else ("mean deg", "worst")
    note = (
        "mean, worst: distance to PyTorch's points (fp32), of all faces, points and stages, in % "
        "of the box width and in px; error, exported: error of the last stage, PyTorch's and the "
        "exported model's, in % of the box width."
        if points
        else "mean: angle to PyTorch's normals (fp32), all pixels and stages; worst: largest "
        "difference of a component."
    )
    digits = {"mean %": 5, "worst px": 5, "error %": 4, "exported %": 4}
    digits |= {"mean deg": 5, "worst": 7}
    return Table(title, ("inputs", "faces", *unit), tuple(rows), note, digits)
