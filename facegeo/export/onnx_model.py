"""Exported models run by ONNX Runtime, without torch."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from facegeo.errors import UserError

FORMAT = "facegeo-onnx-1"
"""Value of an exported file's metadata ``format``."""
CASCADE, NORMALS = "points of faces in an image", "normals of face images"
"""Values of the metadata ``task``."""

Floats = npt.NDArray[np.floating[Any]]


def is_exported(name: str | Path) -> bool:
    """Whether a model's name is that of an exported file."""
    return Path(name).suffix.lower() == ".onnx"


class OnnxModel:
    """An exported file in a session of ONNX Runtime.

    Args:
        path: File that ``facegeo-export`` wrote.
        threads: Threads of one call; 0: all cores.
        providers: Execution providers, best first, by their names in ONNX Runtime.
        task: What its metadata must say, in place of the class's ``task``.

    Raises:
        UserError: If ONNX Runtime is not installed, or the file was not exported by facegeo.
    """

    task = ""

    def __init__(
        self,
        path: str | Path,
        threads: int = 1,
        providers: tuple[str, ...] | None = None,
        *,
        task: str = "",
    ) -> None:
        try:
            import onnxruntime
        except ImportError as error:
            raise UserError(
                f"{path} needs ONNX Runtime, which is not installed: "
                "pip install onnxruntime, or 'facegeo[export]'"
            ) from error
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = 3  # errors; warnings only name nodes
        wanted = list(providers or ("CPUExecutionProvider",))
        if not (path := Path(path).expanduser()).is_file():
            raise UserError(f"there is no file {path}; facegeo-export writes one")
        try:
            self._session = onnxruntime.InferenceSession(str(path), options, providers=wanted)
        except Exception as error:  # ONNX Runtime's exceptions have no common class
            raise UserError(
                f"{path} is not a valid ONNX file ({error}); export it again"
            ) from error
        self.metadata: dict[str, str] = dict(self._session.get_modelmeta().custom_metadata_map)
        task = task or self.task
        got = self.metadata.get("format"), self.metadata.get("task")
        if got != (FORMAT, task):
            raise UserError(
                f"{path}: wanted a file of format {FORMAT!r} for {task!r}, got {got[0]!r} "
                f"for {got[1]!r}; export it with facegeo-export"
            )

    @property
    def notes(self) -> dict[str, Any]:
        """The checkpoint's notes: data, seed and results of the training."""
        notes: dict[str, Any] = json.loads(self.metadata["notes"])
        return notes

    def run(self, *inputs: npt.NDArray[Any]) -> list[npt.NDArray[Any]]:
        """Return the outputs for inputs in the file's order."""
        names = [one.name for one in self._session.get_inputs()]
        feed = dict(zip(names, map(np.ascontiguousarray, inputs), strict=True))
        return list(self._session.run(None, feed))


class OnnxCascade(OnnxModel):
    """An exported cascade; called as ``facegeo.landmarks.graph.CascadeGraph`` is."""

    task = CASCADE

    def __call__(self, image: npt.NDArray[np.uint8], boxes: Floats) -> npt.NDArray[np.float32]:
        """Find the points of all faces of an image.

        Args:
            image: Red, green, blue, uint8, (H, W, 3).
            boxes: left, right, top, bottom, px, (F, 4).

        Returns:
            Points after each stage, image px, (F, T, 5, 2).

        Raises:
            ValueError: If the image has another shape or type.
        """
        if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
            raise ValueError(
                f"image must be uint8 of shape (H, W, 3), got {image.dtype} of {image.shape}"
            )
        if not len(boxes):  # the loop over regions would have nothing to join
            return np.zeros((0, self._session.get_outputs()[0].shape[1], 5, 2), np.float32)
        return self.run(image, np.asarray(boxes, np.float64))[0]


class OnnxNormals(OnnxModel):
    """An exported generator of normals."""

    task = NORMALS

    def __call__(self, images: Floats) -> tuple[npt.NDArray[np.float32], ...]:
        """Estimate normals.

        Args:
            images: RGB in [0, 1], (B, 3, S, S).

        Returns:
            The t + 1 maps from the initial to the last, each (B, 3, S, S), unit length, x right,
            y up, z to the camera.
        """
        return tuple(self.run(np.asarray(images, np.float32)))
