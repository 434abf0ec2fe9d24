"""Networks in ONNX Runtime, where it is installed."""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn
from torch.export import Dim

from facegeo.landmarks.nets import Cascade

MISSING = "ONNX Runtime: pip install 'facegeo[export]'"
Run = Callable[..., list[npt.NDArray[Any]]]


def has_onnx() -> bool:
    """Whether networks can be brought to ONNX Runtime here."""
    return all(find_spec(name) for name in ("onnx", "onnxruntime", "onnxscript"))


def cascade_file(cascade: Cascade) -> bytes:
    """A cascade as ``facegeo-export`` writes it: image and boxes in, points out."""
    from facegeo.export.programs import cascade_program, onnx_bytes

    return onnx_bytes(cascade_program(cascade), ["image", "boxes"], ["points"], {})


def generator_file(network: nn.Module, size: int) -> bytes:
    """A generator of normals as it stands: images (B, 3, S, S) in, every stage's normals out."""
    from facegeo.export.programs import onnx_bytes

    images = torch.rand(2, 3, size, size)
    shapes = ({0: Dim("B", min=1)},)
    with torch.no_grad():
        program = torch.export.export(network, (images,), dynamic_shapes=shapes)
    return onnx_bytes(program, ["images"], [], {})


def session(file: bytes, threads: int) -> Run:
    """Run a file on so many cores: takes arrays in the order of its inputs."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3  # errors
    loaded = onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
    names = [one.name for one in loaded.get_inputs()]

    def run(*inputs: npt.NDArray[np.generic]) -> list[npt.NDArray[Any]]:
        found: list[npt.NDArray[Any]] = loaded.run(None, dict(zip(names, inputs, strict=True)))
        return found

    return run
