"""What people use now for facial points, where it is installed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from facegeo.files.images import Bytes

Boxes = npt.NDArray[np.float64]
Find = Callable[[Bytes, Boxes], object]
PREDICTORS = {
    "dlib, 5 points": "shape_predictor_5_face_landmarks.dat",
    "dlib, 68 points": "shape_predictor_68_face_landmarks.dat",
}


def peers(missing: list[str]) -> dict[str, tuple[Find, str]]:
    """Each peer that is there: a function of an image and its boxes, and what to know of it.

    Args:
        missing: Gets a line for each that is not there, with what to install.
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


def _dlib_points(rectangle: Any, predictor: Any, image: Bytes, boxes: Boxes) -> list[Any]:  # noqa: ANN401
    corners = boxes[:, [0, 2, 1, 3]].round().astype(int).tolist()
    return [predictor(image, rectangle(*corner)) for corner in corners]


def _mtcnn(network: Any, image: Bytes, boxes: Boxes) -> object:  # noqa: ANN401
    return network.detect(image, landmarks=True)
