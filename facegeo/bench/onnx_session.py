"""Networks in ONNX Runtime, where it is installed."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

MISSING = "ONNX Runtime: pip install 'facegeo[export]'"
Run = Callable[..., list[npt.NDArray[Any]]]


def has_onnx() -> bool:
    """Whether networks can be brought to ONNX Runtime here."""
    return all(find_spec(name) for name in ("onnx", "onnxruntime", "onnxscript"))


def to_onnx(network: nn.Module, image: Tensor) -> bytes:
    """A network of images (B, 3, H, W) as an ONNX file, for any B; ``image`` is one of them."""
    with _quiet(), torch.no_grad():
        program = torch.onnx.export(
            network,
            (image.expand(2, -1, -1, -1).contiguous(),),
            dynamo=True,
            dynamic_shapes=({0: torch.export.Dim("B", min=1)},),
            verbose=False,
        )
    assert program is not None
    return bytes(program.model_proto.SerializeToString())


def session(file: bytes, threads: int, device: str = "cpu") -> Run:
    """Run a file with so many threads: takes arrays in the order of its inputs."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    name = "CUDAExecutionProvider" if device == "cuda" else "CPUExecutionProvider"
    loaded = onnxruntime.InferenceSession(file, options, providers=[name])
    names = [one.name for one in loaded.get_inputs()]

    def run(*inputs: npt.NDArray[np.generic]) -> list[npt.NDArray[Any]]:
        found: list[npt.NDArray[Any]] = loaded.run(None, dict(zip(names, inputs, strict=True)))
        return found

    return run


@contextmanager
def _quiet() -> Iterator[None]:
    """Leave out what the exporter says of its own work and of libraries that are not needed."""
    logging.disable(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(logging.NOTSET)
