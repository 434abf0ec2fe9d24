"""How a cascade is exported, crops and all, and how far an exported one is from PyTorch's."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from copy import deepcopy
from typing import ClassVar

import torch
from torch import Tensor
from torch.export import Dim, ExportedProgram

from facegeo.geometry.windows import POINT_NAMES
from facegeo.landmarks.graph import CascadeGraph
from facegeo.landmarks.metrics import LandmarkErrors
from facegeo.landmarks.nets import Cascade
from facegeo.training.wing import Difference, ExportForm, Scene

EXAMPLE_BOXES = [[20.0, 80.0, 20.0, 80.0], [30.0, 90.0, 25.0, 85.0]]

TEXTS = {
    "classes": json.dumps(POINT_NAMES),
    "classes_meaning": "left eye, right eye, nose tip, left and right mouth corner; left as "
    "seen in the image",
    "inputs": "image: red, green, blue, uint8, (H, W, 3), any size; boxes: left, right, top, "
    "bottom in pixels of the image, float64, (F, 4), of one face or more",
    "outputs": "points: x, y in pixels of the image after each stage, float32, (F, T, 5, 2); "
    "the last stage is the answer",
    "frame": "x right, y down, pixel centres at integers, (0, 0) the left top one",
    "box": "as in the lists it was trained on: a square from eyebrows to below the mouth",
    "normalisation": "inside: each crop minus its mean, over its standard deviation",
    "metric": "error_pct: mean distance to the true point over the box width, %",
}


class CascadeForm(ExportForm):
    """A cascade for images of any size and any number of faces.

    image (H, W, 3) uint8 and boxes (F, 4) float64 in, points (F, T, 5, 2) float32 out, px.

    Args:
        cascade: Trained.
        precision: "fp16": nets in float16; geometry and crops stay in float32.
    """

    task = "points of faces in an image"
    inputs, outputs = ("image", "boxes"), ("points",)
    texts = TEXTS
    limits: ClassVar = {
        "fp32": (1e-3, "px at most"),
        "fp16": (0.05, "% of the box width on average"),
        "8 bits": (0.5, "% of the box width on average"),
    }
    columns: ClassVar = {"mean %": 5, "worst px": 5, "error %": 4, "exported %": 4}
    note = (
        "mean, worst: distance to PyTorch's points (fp32), of all faces, points and stages, in % "
        "of the box width and in px; error, exported: error of the last stage, PyTorch's and the "
        "exported model's, in % of the box width."
    )

    def __init__(self, cascade: Cascade, precision: str = "fp32") -> None:
        self.cascade, self.precision = cascade, precision
        self.graph = CascadeGraph(cascade).eval()

    def program(self) -> ExportedProgram:
        """Trace the cascade."""
        cascade = deepcopy(self.cascade).eval()
        if self.precision == "fp16":
            for stage in cascade.by_name().values():
                stage.bank.half()
        image = torch.zeros(100, 120, 3, dtype=torch.uint8)
        boxes = torch.tensor(EXAMPLE_BOXES, dtype=torch.float64)
        shapes = {"image": {0: Dim("H", min=2), 1: Dim("W", min=2)}, "boxes": {0: Dim("F", min=1)}}
        graph = CascadeGraph(cascade).eval()
        with torch.no_grad():
            return torch.export.export(graph, (image, boxes), dynamic_shapes=shapes)

    def plain(self, *inputs: Tensor) -> list[Tensor]:
        """Points after each stage, px, (F, T, 5, 2), of an image and boxes."""
        return [self.graph(*inputs)]

    @torch.inference_mode()
    def compare(
        self, exported: Callable[..., Sequence[Tensor]], inputs: str, scenes: Iterable[Scene]
    ) -> Difference:
        """Compare on all faces and stages."""
        errors = [LandmarkErrors(), LandmarkErrors()]
        distances, widths, known = [], [], True
        threads = torch.get_num_threads()
        torch.set_num_threads(1)  # a single face gains nothing from more threads
        for scene in scenes:
            image, boxes = torch.from_numpy(scene.image), torch.from_numpy(scene.boxes)
            pair = [*self.plain(image, boxes), *exported(image, boxes)]
            distances.append((pair[1] - pair[0]).norm(dim=-1))
            widths.append(boxes[:, 1] - boxes[:, 0])
            known = known and scene.points is not None
            if scene.points is not None:
                for metric, found in zip(errors, pair, strict=True):
                    metric.update(found[:, -1], torch.from_numpy(scene.points), widths[-1])
        torch.set_num_threads(threads)
        distance, width = torch.cat(distances), torch.cat(widths)
        mean = 100 * (distance / width[:, None, None]).mean().item()
        error_pct = [metric.compute()["error_pct"].item() if known else None for metric in errors]
        return Difference(inputs, len(width), (mean, distance.max().item(), *error_pct))
