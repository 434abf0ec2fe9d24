"""Exports a trained model, checks what came out, and keeps it only if it is equal."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from rich.console import Console
from torch import nn
from torch.export import ExportedProgram

from facegeo.errors import UserError
from facegeo.export.metadata import cascade_metadata, normals_metadata
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
    cascade_program,
    normals_program,
    program_bytes,
)
from facegeo.files.writing import whole_file
from facegeo.landmarks.data import LFPWDataModule
from facegeo.landmarks.graph import CascadeGraph
from facegeo.landmarks.nets import Cascade
from facegeo.training.model_file import MODEL, find_model, load_model, model_config, save_model

Floats = npt.NDArray[np.floating[Any]]

SUFFIX = {"onnx": ".onnx", "torch_export": ".pt2", "model": ".safetensors"}
PRECISIONS = ("fp32", "fp16")
SQUARES = 4
"""Faces, and noise images, that a generator, which is slow, is compared on."""
DEFAULT_SQUARE = 256
"""Their side where any is allowed, px."""


@dataclass(frozen=True)
class Order:
    """What to export and how.

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
    format: str = "onnx"
    precision: str = "fp32"
    t: int | None = None
    size: int | None = None
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
        """See that there is such an order, before a model is loaded.

        Raises:
            UserError: If not, or a library is missing.
        """
        if self.format not in SUFFIX:
            raise UserError(f"format must be onnx, torch_export or model, got {self.format}")
        if self.precision not in PRECISIONS:
            raise UserError(f"precision must be fp32 or fp16, got {self.precision}")
        others = (self.precision, self.t, self.size) != ("fp32", None, None)
        if self.format == "model" and others:
            raise UserError(
                "format=model stores the whole model in 8 bits: leave out precision, t and size"
            )
        self._check_numbers()
        self._check_output()
        missing = [name for name in ("onnx", "onnxruntime", "onnxscript") if not find_spec(name)]
        if self.format == "onnx" and missing:
            raise UserError(
                f"format=onnx needs {', '.join(missing)}: pip install 'facegeo[export]', "
                "or take format=torch_export"
            )

    def _check_output(self) -> None:
        if self.output is None:
            return
        if self.output.expanduser().is_dir():
            raise UserError(f"output={self.output} is a folder, wanted a file's name")
        if self.output.suffix != SUFFIX[self.format]:
            raise UserError(
                f"output={self.output} must end in {SUFFIX[self.format]} with format={self.format}"
            )

    def _check_numbers(self) -> None:
        size, t = self.size, self.t
        if size is not None and (type(size) is not int or size < 32 or size % 32):
            raise UserError(f"size must be a multiple of 32 px, got {size}")
        if t is not None and (type(t) is not int or t < 0):
            raise UserError(f"t must be a whole number from 0, got {t}")


def export_model(order: Order, data: object) -> Path:
    """Export a model, print how far it is from PyTorch's, and keep it if that is near enough.

    Args:
        order: What to export.
        data: Lists of faces (``LFPWDataModule``); the exported model is compared with PyTorch's
            on the test faces.

    Returns:
        The file.

    Raises:
        UserError: For an order that can not be met, or a model that came out different; then no
            file is left.
    """
    order.check()
    order.path.parent.mkdir(parents=True, exist_ok=True)
    model, notes = load_model(order.checkpoint)
    card = find_model(order.checkpoint).with_suffix(".md")
    if not isinstance(data, LFPWDataModule):
        raise UserError("wanted data=lfpw or generated, faces with boxes and points, got others")
    _check_model(order, model)
    data.prepare_data()
    next(listed_scenes(data, "test", 1))  # a mistake in the list shows before the long work
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
    from facegeo.export.onnx_file import onnx_bytes

    return onnx_bytes(program, inputs, outputs, metadata)


def _title(order: Order) -> str:
    return f"{order.path.name} ({order.precision}) against PyTorch"


@contextmanager
def _on_trial(path: Path, file: bytes) -> Iterator[Path]:
    """Yield a file beside its place, which it takes if nothing is raised."""
    with whole_file(path) as trial:
        trial.write_bytes(file)
        yield trial
