"""Files of traced programs, ONNX and torch.export, with metadata inside."""

from __future__ import annotations

import io
import json
import logging
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.export import ExportedProgram

import facegeo.geometry.crops  # noqa: F401  defines the operator that is translated below
from facegeo import __version__
from facegeo.export.onnx_model import FORMAT
from facegeo.training.wing import ExportForm

METADATA = "facegeo.json"
"""Name of the metadata beside the program in a ``.pt2`` file."""
OPSET = 18
CHATTY = ("torch.onnx", "onnxscript", "onnx_ir")
"""Loggers that report libraries that are not needed and constants that are not folded."""


def file_metadata(
    form: ExportForm, precision: str, notes: Mapping[str, Any], card: Path
) -> dict[str, str]:
    """Return the metadata of an exported file.

    Args:
        form: Of the model.
        precision: Of its weights.
        notes: The model's.
        card: The model's; it need not exist.
    """
    return {
        "format": FORMAT,
        "facegeo": __version__,
        "task": form.task,
        "precision": precision,
        "notes": json.dumps(notes),
        "results": json.dumps(notes.get("results", {})),
        "card": card.read_text(encoding="utf-8") if card.is_file() else "none",
        "licence": "code: Apache-2.0; weights: the terms of the card, or of who trained them",
        **form.texts,
    }


def program_bytes(program: ExportedProgram, metadata: Mapping[str, str]) -> bytes:
    """Return a traced program and its metadata as a ``.pt2`` file."""
    file = io.BytesIO()
    with warnings.catch_warnings():  # about weights in channels-last order, which are complete
        warnings.filterwarnings("ignore", message="No complete tensor found in the group")
        torch.export.save(program, file, extra_files={METADATA: json.dumps(dict(metadata))})
    return file.getvalue()


def load_program(path: Path) -> tuple[Callable[..., Sequence[Tensor]], dict[str, str]]:
    """Return the program of a ``.pt2`` file as a function of its inputs, and its metadata."""
    extra = {METADATA: ""}
    program = torch.export.load(io.BytesIO(path.read_bytes()), extra_files=extra)
    module = program.module()

    def call(*inputs: Tensor) -> Sequence[Tensor]:
        found = module(*inputs)
        return [found] if isinstance(found, Tensor) else found

    return call, json.loads(extra[METADATA])


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
