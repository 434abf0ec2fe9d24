"""Models as traced programs, their files (ONNX, torch.export) and the metadata in these."""

from __future__ import annotations

import io
import json
import logging
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import deepcopy
from pathlib import Path
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram

import facegeo.geometry.crops  # noqa: F401  defines an operator that cascades call
from facegeo import __version__
from facegeo.export.onnx_model import CASCADE, FORMAT, NORMALS
from facegeo.geometry.windows import POINT_NAMES
from facegeo.landmarks.graph import CascadeGraph
from facegeo.landmarks.nets import Cascade
from facegeo.normals.maps import trained_coding
from facegeo.training.wing import fast_form

Shapes = dict[str, Any]
"""For each input, sizes that may differ from call to call: names of axes."""
EXAMPLE_BOXES = [[20.0, 80.0, 20.0, 80.0], [30.0, 90.0, 25.0, 85.0]]


def cascade_program(cascade: Cascade, half: bool = False) -> ExportedProgram:
    """Trace a cascade, crops and all, for images of any size and any number of faces.

    Args:
        cascade: Trained.
        half: Nets in float16; geometry and crops stay in float32.

    Returns:
        image (H, W, 3) uint8 and boxes (F, 4) float64 in, points (F, T, 5, 2) float32 out, px.
    """
    cascade = deepcopy(cascade).eval()
    if half:
        for stage in cascade.by_name().values():
            stage.bank.half()
    image = torch.zeros(100, 120, 3, dtype=torch.uint8)
    boxes = torch.tensor(EXAMPLE_BOXES, dtype=torch.float64)
    shapes = {"image": {0: Dim("H", min=2), 1: Dim("W", min=2)}, "boxes": {0: Dim("F", min=1)}}
    return _trace(CascadeGraph(cascade), (image, boxes), shapes)


def normals_program(generator: nn.Module, t: int, size: int | None, half: bool) -> ExportedProgram:
    """Trace a generator of normals for any number of images.

    Args:
        generator: Trained.
        t: Refinements.
        size: Side S of the images, px; None: sides H and W that are multiples of 32.
        half: Weights and maps in float16; images and normals stay in float32.

    Returns:
        images (B, 3, S, S) in [0, 1] in; t + 1 maps of normals (B, 3, S, S) out, from the initial
        to the last.
    """
    generator = fast_form(generator, doubling="quarters")  # fastest in ONNX Runtime
    side = size or 64
    shapes = {0: Dim("B", min=1)}
    if size is None:
        shapes |= {2: 32 * Dim("H_32", min=1), 3: 32 * Dim("W_32", min=1)}
    return _trace(_Normals(generator, t, half), (torch.rand(2, 3, side, side),), {"images": shapes})


class _Normals(nn.Module):
    """A generator with t fixed and float32 outside."""

    def __init__(self, generator: nn.Module, t: int, half: bool) -> None:
        super().__init__()
        self.generator, self.t = deepcopy(generator).eval(), t
        self.kind = torch.float16 if half else torch.float32
        self.generator.to(self.kind)

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        found = cast(tuple[Tensor, ...], self.generator(images.to(self.kind), self.t))
        return tuple(normals.float() for normals in found)


def _trace(module: nn.Module, example: tuple[Tensor, ...], shapes: Shapes) -> ExportedProgram:
    with torch.no_grad():
        return torch.export.export(module.eval(), example, dynamic_shapes=shapes)


METADATA = "facegeo.json"
"""Name of the texts beside the program in the file."""
Floats = npt.NDArray[np.floating[Any]]


def program_bytes(program: ExportedProgram, metadata: Mapping[str, str]) -> bytes:
    """A traced program and its texts as a ``.pt2`` file."""
    file = io.BytesIO()
    with warnings.catch_warnings():  # about weights in channels-last order, which are complete
        warnings.filterwarnings("ignore", message="No complete tensor found in the group")
        torch.export.save(program, file, extra_files={METADATA: json.dumps(dict(metadata))})
    return file.getvalue()


class ProgramCascade:
    """A cascade in a ``.pt2`` file, called as ``OnnxCascade`` is.

    Args:
        path: File that ``facegeo-export format=torch_export`` wrote.
    """

    def __init__(self, path: Path) -> None:
        self._module, self.metadata = _load(path)

    def __call__(self, image: npt.NDArray[np.uint8], boxes: Floats) -> Floats:
        """Points after each stage, image px, (F, T, 5, 2)."""
        found: torch.Tensor = self._module(torch.from_numpy(image), torch.from_numpy(boxes))
        return found.numpy()


class ProgramNormals:
    """A generator of normals in a ``.pt2`` file, called as ``OnnxNormals`` is.

    Args:
        path: File that ``facegeo-export format=torch_export`` wrote.
    """

    def __init__(self, path: Path) -> None:
        self._module, self.metadata = _load(path)

    def __call__(self, images: Floats) -> tuple[Floats, ...]:
        """Normals (B, 3, S, S) of each stage."""
        return tuple(stage.numpy() for stage in self._module(torch.from_numpy(images)))


def _load(path: Path) -> tuple[torch.nn.Module, dict[str, str]]:
    extra = {METADATA: ""}
    program = torch.export.load(io.BytesIO(path.read_bytes()), extra_files=extra)
    return program.module(), json.loads(extra[METADATA])


OPSET = 18
CHATTY = ("torch.onnx", "onnxscript", "onnx_ir")
"""Loggers that report libraries that are not needed and constants that are not folded."""


def onnx_bytes(
    program: ExportedProgram,
    inputs: Sequence[str],
    outputs: Sequence[str],
    metadata: Mapping[str, str],
) -> bytes:
    """Return a traced program as one ONNX file, weights inside.

    Args:
        program: The program.
        inputs: Names of its inputs.
        outputs: Names of its outputs.
        metadata: Texts kept in the file.
    """
    from facegeo.export.onnx_pyramid import region_pyramid  # needs the extra "export"

    with _quiet():
        made = torch.onnx.export(
            program,
            dynamo=True,
            opset_version=OPSET,
            input_names=inputs,
            output_names=outputs,
            custom_translation_table={torch.ops.facegeo.region_pyramid.default: region_pyramid},
            verbose=False,
        )
    if made is None:
        raise RuntimeError("torch.onnx.export returned nothing")
    made.model.metadata_props.update(metadata)
    return bytes(made.model_proto.SerializeToString())


@contextmanager
def _quiet() -> Iterator[None]:
    loggers = [logging.getLogger(name) for name in CHATTY]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():  # of torch 2.13 about its own pytree
            warnings.simplefilter("ignore", FutureWarning)
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def cascade_metadata(precision: str, notes: Mapping[str, Any], card: Path) -> dict[str, str]:
    """Metadata of the file of a cascade."""
    return _common(CASCADE, precision, notes, card) | {
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


def normals_metadata(
    precision: str, notes: Mapping[str, Any], card: Path, t: int, size: int | None
) -> dict[str, str]:
    """Metadata of the file of a generator of normals."""
    side = f"{size} px" if size else "multiples of 32 px"
    return _common(NORMALS, precision, notes, card) | {
        "t": str(t),
        "size": str(size or "any multiple of 32"),
        "classes": json.dumps(["x", "y", "z"]),
        "inputs": f"images: red, green, blue in [0, 1], float32, (B, 3, H, W), sides {side}, "
        "coded as coding says",
        "coding": trained_coding(notes) or "unknown: as the training's photos",
        "outputs": "normals_0 to normals_t: the initial normals and those after each refinement, "
        "float32, (B, 3, H, W), unit length; the last is the answer",
        "frame": "x right, y up, z to the camera",
        "normalisation": "none outside; a division by ImageNet's deviation, if any, is inside",
        "metric": "mean_deg: mean angle to the true normal over face pixels, degrees",
    }


def _common(task: str, precision: str, notes: Mapping[str, Any], card: Path) -> dict[str, str]:
    return {
        "format": FORMAT,
        "facegeo": __version__,
        "task": task,
        "precision": precision,
        "notes": json.dumps(notes),
        "results": json.dumps(notes.get("results", {})),
        "card": card.read_text(encoding="utf-8") if card.is_file() else "none",
        "licence": "code: Apache-2.0; weights: the terms of the card, or of who trained them",
    }
