"""Export of a trained model, which is kept only if it is equal to PyTorch's."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any, Literal, cast

import torch
from pydantic import Field
from rich.console import Console
from torch import Tensor, nn

from facegeo.checks import checked
from facegeo.errors import UserError
from facegeo.export.onnx_model import OnnxModel
from facegeo.export.parity import check_parity, noise_scenes, parity_table
from facegeo.export.programs import file_metadata, load_program, onnx_bytes, program_bytes
from facegeo.files.writing import whole_file
from facegeo.training.model_file import MODEL, find_model, load_model, model_config, save_model
from facegeo.training.wing import ExportForm, WingData

SUFFIX = {"onnx": ".onnx", "torch_export": ".pt2", "model": ".safetensors"}
EIGHT_BITS = "8 bits"
"""Precision of a file for facegeo itself."""


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


def export_model(order: Order, data: WingData) -> Path:
    """Export a model, print its difference from PyTorch's, and keep it if that is small enough.

    Args:
        order: The model and how to export it.
        data: Has ``scenes``; the exported model is compared with PyTorch's on the test faces.

    Returns:
        The file.

    Raises:
        UserError: If the order cannot be carried out, or the exported model differs; then no file
            is left.
    """
    order.check()
    order.path.parent.mkdir(parents=True, exist_ok=True)
    model, notes = load_model(order.checkpoint)
    precision = EIGHT_BITS if order.format == "model" else order.precision
    form, first = _form(model, notes, order, precision), data.scenes("test", 1)
    data.prepare_data()
    next(first)  # finds mistakes in the list before the long work
    with whole_file(order.path) as trial:
        if order.format == "model":
            kept, config = {**notes, "stored": EIGHT_BITS}, model_config(order.checkpoint)
            save_model(trial, model, config, kept, eight_bits=True)
            exported = _form(load_model(trial)[0], notes, order, precision).plain
        else:
            card, program = find_model(order.checkpoint).with_suffix(".md"), form.program()
            metadata = file_metadata(form, precision, notes, card)
            if order.format == "onnx":
                trial.write_bytes(onnx_bytes(program, form.inputs, form.outputs, metadata))
                exported = _of_onnx(trial, form.task)
            else:
                trial.write_bytes(program_bytes(program, metadata))
                exported, _ = load_program(trial)
        scenes = {"noise": iter(noise_scenes())} if form.on_noise else {}
        scenes[data.title] = data.scenes("test", form.most_faces)
        found = [form.compare(exported, name, own) for name, own in scenes.items()]
        title = f"{order.path.name} ({precision}) against PyTorch"
        Console().print(parity_table(found, title, form).rich())
        check_parity(found, precision, form)
    return order.path


def _form(model: nn.Module, notes: Mapping[str, Any], order: Order, precision: str) -> ExportForm:
    make = getattr(model, "export_form", None)
    if not callable(make):
        finds = getattr(model, "finds", "nothing known")
        raise UserError(
            f"checkpoint={order.checkpoint} finds {finds}: wanted a model that can be exported, "
            f"{type(model).__name__} has no export_form"
        )
    form = cast(ExportForm, make(precision, notes, order.t, order.size))
    if precision not in form.limits:
        raise UserError(
            f"{type(model).__name__} cannot be exported in {precision}: wanted one of "
            f"{', '.join(form.limits)}"
        )
    return form


def _of_onnx(path: Path, task: str) -> Callable[..., list[Tensor]]:
    model = OnnxModel(path, task=task)
    return lambda *inputs: [
        torch.from_numpy(one) for one in model.run(*(x.numpy() for x in inputs))
    ]
