"""Export of a trained model, which is kept only if it is equal to PyTorch's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any, Literal, cast

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
    NORMALS,
    POINTS,
    Difference,
    FindNormals,
    FindPoints,
    check_parity,
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
    if not isinstance(data, LFPWDataModule):
        raise UserError("wanted data=lfpw or generated, faces with boxes and points, got others")
    finds = getattr(model, "finds", None)
    if finds not in EXPORTS:
        raise UserError(
            f"checkpoint={order.checkpoint} finds {finds}: only models of {' or '.join(EXPORTS)} "
            "can be exported"
        )
    export = EXPORTS[finds](order, model, notes)
    data.prepare_data()
    next(listed_scenes(data, "test", 1))  # finds mistakes in the list before the long work
    precision: str = order.precision
    with whole_file(order.path) as trial:
        if order.format == "model":
            precision, config = EIGHT_BITS, model_config(order.checkpoint)
            save_model(trial, model, config, {**notes, "stored": EIGHT_BITS}, eight_bits=True)
        else:
            trial.write_bytes(export.file())
        found = export.compare(trial, data)
        title = f"{order.path.name} ({order.precision}) against PyTorch"
        Console().print(parity_table(found, title, export.limits).rich())
        check_parity(found, precision, export.limits)
    return order.path


class _Export:
    """A loaded model and how it is exported."""

    def __init__(self, order: Order, model: nn.Module, notes: Mapping[str, Any]) -> None:
        self.order, self.model, self.notes = order, model, notes
        self.half, self.as_onnx = order.precision == "fp16", order.format == "onnx"
        self.card = find_model(order.checkpoint).with_suffix(".md")

    def _bytes(
        self,
        program: ExportedProgram,
        inputs: list[str],
        outputs: list[str],
        metadata: Mapping[str, str],
    ) -> bytes:
        if self.as_onnx:
            return onnx_bytes(program, inputs, outputs, metadata)
        return program_bytes(program, metadata)


class _PointsExport(_Export):
    limits = POINTS

    def __init__(self, order: Order, model: nn.Module, notes: Mapping[str, Any]) -> None:
        super().__init__(order, model, notes)
        if order.t is not None or order.size is not None:
            raise UserError("t and size are for models of normals; leave them out with points")

    def file(self) -> bytes:
        program = cascade_program(cast(Cascade, self.model), half=self.half)
        metadata = cascade_metadata(self.order.precision, self.notes, self.card)
        return self._bytes(program, ["image", "boxes"], ["points"], metadata)

    def compare(self, trial: Path, data: LFPWDataModule) -> list[Difference]:
        exported: FindPoints
        if self.order.format == "model":
            graph = CascadeGraph(cast(Cascade, load_model(trial)[0])).eval()
            exported = lambda *scene: graph(*map(torch.from_numpy, scene)).numpy()  # noqa: E731
        else:
            exported = OnnxCascade(trial) if self.as_onnx else ProgramCascade(trial)
        scenes = {"noise": noise_scenes(), data.title: listed_scenes(data, "test")}
        cascade = cast(Cascade, self.model)
        return [points_difference(cascade, exported, name, own) for name, own in scenes.items()]


class _NormalsExport(_Export):
    limits = NORMALS

    def __init__(self, order: Order, model: nn.Module, notes: Mapping[str, Any]) -> None:
        super().__init__(order, model, notes)
        built = int(getattr(model, "t", 0))
        if order.t and not built:
            raise UserError(f"t must be 0 for a model built without refinements, got {order.t}")
        self.t = built if order.t is None else order.t

    def file(self) -> bytes:
        size = self.order.size
        program = normals_program(self.model, self.t, size, self.half)
        metadata = normals_metadata(self.order.precision, self.notes, self.card, self.t, size)
        outputs = [f"normals_{i}" for i in range(self.t + 1)]
        return self._bytes(program, ["images"], outputs, metadata)

    def compare(self, trial: Path, data: LFPWDataModule) -> list[Difference]:
        exported: FindNormals
        size = self.order.size or DEFAULT_SQUARE
        noise = {"noise": face_squares(noise_scenes(), size)[::SQUARES]}
        if self.order.format == "model":
            size, noise = int(self.notes.get("size", size)), {}
            stored = load_model(trial)[0]
            exported = lambda images: tuple(  # noqa: E731
                stage.numpy() for stage in stored(torch.from_numpy(images), self.t)
            )
        else:
            exported = OnnxNormals(trial) if self.as_onnx else ProgramNormals(trial)
        faces = {data.title: face_squares([*listed_scenes(data, "test", SQUARES)], size)}
        return [
            normals_difference(self.model, self.t, exported, name, images)
            for name, images in (noise | faces).items()
        ]


EXPORTS: dict[str, type[_PointsExport] | type[_NormalsExport]] = {
    "points": _PointsExport,
    "normals": _NormalsExport,
}
"""By ``finds`` of the model."""
