"""Other programs for the same work, where they are installed: ONNX Runtime, dlib, MTCNN."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

Pixels = npt.NDArray[np.uint8]
Boxes = npt.NDArray[np.float64]
Find = Callable[[Pixels, Boxes], object]
"""Finds points in the boxes (F, 4), px: left, right, top, bottom, of an image (H, W, 3)."""
Run = Callable[..., list[npt.NDArray[Any]]]
MISSING = "ONNX Runtime: pip install 'facegeo[export]'"
PREDICTORS = {
    "dlib, 5 points": "shape_predictor_5_face_landmarks.dat",
    "dlib, 68 points": "shape_predictor_68_face_landmarks.dat",
}


def has_onnx() -> bool:
    """Whether networks can be exported to ONNX Runtime here."""
    return all(find_spec(name) for name in ("onnx", "onnxruntime", "onnxscript"))


def session(file: bytes, threads: int) -> Run:
    """Run an ONNX file on so many cores: takes arrays in the order of its inputs."""
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


def peers(missing: list[str]) -> dict[str, tuple[Find, str]]:
    """Each installed finder of facial points, with a note for its row.

    Args:
        missing: Gets a line for each that is not installed, with how to install it.
    """
    found = dict(_dlib(missing))
    if find_spec("facenet_pytorch") is None:
        missing.append("MTCNN: facenet-pytorch is not installed (it wants an old PyTorch)")
        return found
    try:
        from facenet_pytorch import MTCNN
    except Exception as error:  # it wants libraries that may be there and fail
        missing.append(f"MTCNN: facenet-pytorch does not start ({error})")
        return found
    note = "finds the boxes too: none in noise, so less work than with faces"
    found["MTCNN, 5 points"] = partial(_mtcnn, MTCNN(keep_all=True)), note
    return found


def _dlib(missing: list[str]) -> Iterator[tuple[str, tuple[Find, str]]]:
    if find_spec("dlib") is None:
        missing.append("dlib: pip install 'facegeo[bench]'")
        return
    import dlib

    models = find_spec("face_recognition_models")  # found, not imported: it wants pkg_resources
    folders = [] if models is None else list(models.submodule_search_locations or [])
    for name, file in PREDICTORS.items():
        paths = [Path(folder) / "models" / file for folder in folders]
        path = next((path for path in paths if path.is_file()), None)
        if path is None:
            missing.append(f"{name}: no {file}; pip install 'facegeo[bench]'")
            continue
        rectangle, predictor = dlib.rectangle, dlib.shape_predictor(str(path))
        yield name, (partial(_dlib_points, rectangle, predictor), "other points, one core")


def _dlib_points(rectangle: Any, predictor: Any, image: Pixels, boxes: Boxes) -> list[Any]:  # noqa: ANN401
    corners = boxes[:, [0, 2, 1, 3]].round().astype(int).tolist()
    return [predictor(image, rectangle(*corner)) for corner in corners]


def _mtcnn(network: Any, image: Pixels, boxes: Boxes) -> object:  # noqa: ANN401
    return network.detect(image, landmarks=True)
