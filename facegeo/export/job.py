"""Export of a trained model, which is kept only if it is equal to PyTorch's."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import numpy.typing as npt
import torch
from pydantic import Field
from rich.console import Console
from torch import nn
from torch.export import ExportedProgram

from facegeo.checks import checked
from facegeo.errors import UserError
from facegeo.export.onnx_model import OnnxCascade, OnnxNormals
from facegeo.export.parity import (
    EIGHT_BITS,
    check_normals,
    check_points,
    face_squares,
    listed_scenes,
    noise_scenes,
    normals_difference,
    parity_table,
    points_difference,
)
from facegeo.export.programs import (
    ProgramCascade,
    ProgramNormals,
    cascade_metadata,
    cascade_program,
    normals_metadata,
    normals_program,
    onnx_bytes,
    program_bytes,
)
from facegeo.files.writing import whole_file
from facegeo.landmarks.data import LFPWDataModule
from facegeo.landmarks.graph import CascadeGraph
from facegeo.landmarks.nets import Cascade
from facegeo.training.model_file import MODEL, find_model, load_model, model_config, save_model

Floats = npt.NDArray[np.floating[Any]]

SUFFIX = {"onnx": ".onnx", "torch_export": ".pt2", "model": ".safetensors"}
SQUARES = 4
"""Faces, and noise images, that a generator, which is slow, is compared on."""
DEFAULT_SQUARE = 256
"""Their side where any is allowed, px."""


@checked(prefix="", strict=True)
@dataclass(frozen=True)
class Order:
    """The model to export and how.

    Attributes:
        checkpoint: Released name, model file or run's folder.
        format: "onnx", "torch_export", or "model": a file for facegeo itself with weights in
            8 bits.
        precision: "fp32" or "fp16", but for a "model".
        t: Refinements of a generator; None: as it was built.
        size: Side of a generator's images, px; None: any multiple of 32.
        output: File to write; None: named for the checkpoint, in the current folder.
    """

    checkpoint: str
    format: Literal["onnx", "torch_export", "model"] = "onnx"
    precision: Literal["fp32", "fp16"] = "fp32"
    t: Annotated[int, Field(ge=0)] | None = None
    size: Annotated[int, Field(ge=32, multiple_of=32)] | None = None
    output: Path | None = None

    @property
    def path(self) -> Path:
        """File to write."""
        if self.output is not None:
            return self.output.expanduser()
        model = find_model(self.checkpoint)
        name = model.resolve().parent.name if model.name == MODEL else model.stem
        kind = "" if self.precision == "fp32" else f"-{self.precision}"
        return Path(f"{name}{kind}{SUFFIX[self.format]}")

    def check(self) -> None:
        """See that the order can be carried out, before a model is loaded.

        Raises:
            UserError: If not, or a library is missing.
        """
        if self.format == "model" and (self.precision, self.t, self.size) != ("fp32", None, None):
            raise UserError(
                "format=model stores the whole model in 8 bits: leave out precision, t and size"
            )
        if self.output is not None and self.output.expanduser().is_dir():
            raise UserError(f"output={self.output} is a folder, wanted a file's name")
        if self.output is not None and self.output.suffix != SUFFIX[self.format]:
            raise UserError(
                f"output={self.output} must end in {SUFFIX[self.format]} with format={self.format}"
            )
        missing = [name for name in ("onnx", "onnxruntime", "onnxscript") if not find_spec(name)]
        if self.format == "onnx" and missing:
            raise UserError(
                f"format=onnx needs {', '.join(missing)}: pip install 'facegeo[export]', "
                "or take format=torch_export"
            )


def export_model(order: Order, data: object) -> Path:
    """Export a model, print its difference from PyTorch's, and keep it if that is small enough.

    Args:
        order: The model and how to export it.
        data: Lists of faces (``LFPWDataModule``); the exported model is compared with PyTorch's
            on the test faces.

    Returns:
        The file.

    Raises:
        UserError: If the order cannot be carried out, or the exported model differs; then no file
            is left.
    """
    order.check()
    order.path.parent.mkdir(parents=True, exist_ok=True)
    model, notes = load_model(order.checkpoint)
    card = find_model(order.checkpoint).with_suffix(".md")
    if not isinstance(data, LFPWDataModule):
        raise UserError("wanted data=lfpw or generated, faces with boxes and points, got others")
    _check_model(order, model)
    data.prepare_data()
    next(listed_scenes(data, "test", 1))  # finds mistakes in the list before the long work
    if order.format == "model":
        _export_model(order, model, notes, data)
    elif isinstance(model, Cascade):
        _export_cascade(order, model, cascade_metadata(order.precision, notes, card), data)
    else:
        _export_normals(order, model, notes, card, data)
    return order.path


def _check_model(order: Order, model: nn.Module) -> None:
    if isinstance(model, Cascade):
        if order.t is not None or order.size is not None:
            raise UserError("t and size are for models of normals; leave them out with points")
    elif order.t and not getattr(model, "t", 0):
        raise UserError(f"t must be 0 for a model built without refinements, got {order.t}")


def _export_cascade(
    order: Order, cascade: Cascade, metadata: Mapping[str, str], data: LFPWDataModule
) -> None:
    program = cascade_program(cascade, half=order.precision == "fp16")
    file = _file(order, program, ["image", "boxes"], ["points"], metadata)
    with _on_trial(order.path, file) as trial:
        exported = OnnxCascade(trial) if order.format == "onnx" else ProgramCascade(trial)
        found = [
            points_difference(cascade, exported, "noise", noise_scenes()),
            points_difference(cascade, exported, data.title, listed_scenes(data, "test")),
        ]
        Console().print(parity_table(found, _title(order), points=True).rich())
        check_points(found, order.precision)


def _export_normals(
    order: Order, model: nn.Module, notes: Mapping[str, Any], card: Path, data: LFPWDataModule
) -> None:
    t = int(getattr(model, "t", 0)) if order.t is None else order.t
    program = normals_program(model, t, order.size, order.precision == "fp16")
    metadata = normals_metadata(order.precision, notes, card, t, order.size)
    file = _file(order, program, ["images"], [f"normals_{i}" for i in range(t + 1)], metadata)
    size = order.size or DEFAULT_SQUARE
    noise = face_squares(noise_scenes(), size)[::SQUARES]
    faces = face_squares([*listed_scenes(data, "test", SQUARES)], size)
    with _on_trial(order.path, file) as trial:
        exported = OnnxNormals(trial) if order.format == "onnx" else ProgramNormals(trial)
        found = [
            normals_difference(model, t, exported, "noise", noise),
            normals_difference(model, t, exported, data.title, faces),
        ]
        Console().print(parity_table(found, _title(order), points=False).rich())
        check_normals(found, order.precision)


def _export_model(
    order: Order, model: nn.Module, notes: Mapping[str, Any], data: LFPWDataModule
) -> None:
    """Store the weights in 8 bits."""
    with _on_trial(order.path, b"") as trial:
        config = model_config(order.checkpoint)
        save_model(trial, model, config, {**notes, "stored": "8 bits"}, eight_bits=True)
        stored, _ = load_model(trial)
        if isinstance(model, Cascade) and isinstance(stored, Cascade):
            find = CascadeGraph(stored).eval()
            found = [
                points_difference(model, _points_of(find), "noise", noise_scenes()),
                points_difference(model, _points_of(find), data.title, listed_scenes(data, "test")),
            ]
            Console().print(parity_table(found, _title(order), points=True).rich())
            check_points(found, EIGHT_BITS)
            return
        t = int(getattr(model, "t", 0))
        size = int(notes.get("size", DEFAULT_SQUARE))
        faces = face_squares([*listed_scenes(data, "test", SQUARES)], size)
        difference = normals_difference(model, t, _normals_of(stored, t), data.title, faces)
        Console().print(parity_table([difference], _title(order), points=False).rich())
        check_normals([difference], EIGHT_BITS)


def _points_of(graph: nn.Module) -> Callable[[npt.NDArray[np.uint8], Floats], Floats]:
    def find(image: npt.NDArray[np.uint8], boxes: Floats) -> Floats:
        points: torch.Tensor = graph(torch.from_numpy(image), torch.from_numpy(boxes))
        return points.numpy()

    return find


def _normals_of(generator: nn.Module, t: int) -> Callable[[Floats], tuple[Floats, ...]]:
    def find(images: Floats) -> tuple[Floats, ...]:
        return tuple(stage.numpy() for stage in generator(torch.from_numpy(images), t))

    return find


def _file(
    order: Order,
    program: ExportedProgram,
    inputs: list[str],
    outputs: list[str],
    metadata: Mapping[str, str],
) -> bytes:
    if order.format == "torch_export":
        return program_bytes(program, metadata)
    return onnx_bytes(program, inputs, outputs, metadata)


def _title(order: Order) -> str:
    return f"{order.path.name} ({order.precision}) against PyTorch"


@contextmanager
def _on_trial(path: Path, file: bytes) -> Iterator[Path]:
    """Yield a file beside its place, which it takes if nothing is raised."""
    with whole_file(path) as trial:
        trial.write_bytes(file)
        yield trial
