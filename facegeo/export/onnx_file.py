"""Traced programs as ONNX files that say what they hold."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import torch
from torch.export import ExportedProgram

import facegeo.geometry.crops  # noqa: F401  defines the operator that is translated
from facegeo.export.onnx_pyramid import region_pyramid

OPSET = 18
CHATTY = ("torch.onnx", "onnxscript", "onnx_ir")
"""Loggers that tell of libraries that are not needed and constants that are not folded."""


def onnx_bytes(
    program: ExportedProgram,
    inputs: Sequence[str],
    outputs: Sequence[str],
    metadata: Mapping[str, str],
) -> bytes:
    """A traced program as one ONNX file, weights inside.

    Args:
        program: What to turn into ONNX.
        inputs: Names of what goes in.
        outputs: Names of what comes out.
        metadata: Texts kept in the file.
    """
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
        with warnings.catch_warnings():  # torch 2.13 about its own pytree
            warnings.simplefilter("ignore", FutureWarning)
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
