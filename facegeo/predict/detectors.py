"""Face detectors, whose boxes are mapped to those of the training."""

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import cv2
import numpy as np
from pydantic import Field

from facegeo.checks import Share, checked
from facegeo.errors import UserError
from facegeo.predict.boxes import BoxMapping, box_of_points
from facegeo.predict.photo import Boxes, Image

Detect = Callable[[Image, str, int | None], Boxes]
"""Maps an image, its path relative to the input and the number of a video's frame to the boxes of
its faces, (F, 4)."""
Side = Annotated[int, Field(ge=20)]

HAAR_TO_TRAINING = BoxMapping(right=-0.0046, down=0.0788, scale=0.7907)
"""Measured on the training list by ``experiments/ccnn/boxes.py``; see ``boxes.md`` there."""


@checked(prefix="detector.", strict=True)
class Haar:
    """OpenCV's frontal Haar cascade (Viola and Jones, CVPR 2001), part of its wheel.

    Args:
        smallest: Least side of a face, as a share of the image's shorter side.
        neighbours: Overlapping windows that must agree; fewer find more faces and more mistakes.
        longest_px: Larger images are shrunk to this longer side to look for faces.
        mapping: Turns its boxes into those of the training.
    """

    def __init__(
        self,
        smallest: Share = 0.05,
        neighbours: Annotated[int, Field(ge=0)] = 3,
        longest_px: Side = 1280,
        mapping: BoxMapping = HAAR_TO_TRAINING,
    ) -> None:
        self.smallest, self.neighbours, self.longest_px = smallest, neighbours, longest_px
        self.mapping = mapping
        file = Path(cv2.__file__).parent / "data" / "haarcascade_frontalface_alt2.xml"
        self._file = str(file)
        self._free: list[cv2.CascadeClassifier] = []
        if not file.is_file() or not hasattr(cv2, "CascadeClassifier"):
            raise UserError(
                f"OpenCV {cv2.__version__} has no Haar cascades (5 dropped them); "
                "pip install 'opencv-python-headless<5'"
            )

    def __call__(self, image: Image, name: str = "", frame: int | None = None) -> Boxes:
        """Find faces, the largest first."""
        return self.mapping(self.raw(image))

    def raw(self, image: Image) -> Boxes:
        """Return the cascade's own boxes, (F, 4), the largest first."""
        grey, shrink = _shrunk(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), self.longest_px)
        if grey is None:
            return np.zeros((0, 4))
        least = max(20, round(self.smallest * min(grey.shape)))  # 20 px: the cascade's own window
        try:
            cascade = self._free.pop()  # two threads must not share one
        except IndexError:
            cascade = cv2.CascadeClassifier(self._file)
        found = cascade.detectMultiScale(
            grey, scaleFactor=1.1, minNeighbors=self.neighbours, minSize=(least, least)
        )
        self._free.append(cascade)
        x, y, w, h = np.array(found, np.float64).reshape(-1, 4).T / shrink
        boxes = np.stack([x, x + w, y, y + h], axis=1) - 0.5  # edges lie half a pixel off centres
        return boxes[np.argsort(-w, kind="stable")]


@checked(prefix="detector.", strict=True)
class YuNet:
    """YuNet (Wu et al., Machine Intelligence Research 2023), from the user's model file.

    It finds five points of each face, around which ``box_of_points`` lays the box; its own boxes
    are not used.

    Args:
        model: ``face_detection_yunet_*.onnx`` of OpenCV's model zoo.
        score: Least score of a face, in [0, 1].
        longest_px: As for ``Haar``.
    """

    def __init__(self, model: str, score: Share = 0.7, longest_px: Side = 1280) -> None:
        self.longest_px, self._alone = longest_px, threading.Lock()
        file = Path(model).expanduser()
        wanted = f"detector.model={model}: wanted YuNet's .onnx file"
        if not file.is_file():
            raise UserError(f"{wanted}, found no such file")
        try:
            self._net: Any = cv2.FaceDetectorYN.create(str(file), "", (320, 320), score)
        except cv2.error as error:
            raise UserError(f"{wanted}, got one that OpenCV refuses ({error.err})") from error

    def __call__(self, image: Image, name: str = "", frame: int | None = None) -> Boxes:
        """Find faces, the best score first."""
        seen, shrink = _shrunk(cv2.cvtColor(image, cv2.COLOR_RGB2BGR), self.longest_px)
        if seen is None:
            return np.zeros((0, 4))
        with self._alone:
            self._net.setInputSize((seen.shape[1], seen.shape[0]))
            found = self._net.detect(seen)[1]
        if found is None:
            return np.zeros((0, 4))
        points = (found[:, 4:14].reshape(-1, 5, 2) + 0.5) / shrink - 0.5
        return box_of_points(points)


class WholeImage:
    """One face that fills each image; its box is the largest square in the middle."""

    def __call__(self, image: Image, name: str = "", frame: int | None = None) -> Boxes:
        """Return the square."""
        height, width = image.shape[:2]
        side = min(height, width)
        left, top = (width - side) / 2 - 0.5, (height - side) / 2 - 0.5
        return np.array([[left, left + side, top, top + side]])


def _shrunk(image: cv2.typing.MatLike, longest_px: int) -> tuple[cv2.typing.MatLike | None, float]:
    """An image no longer than ``longest_px``, None if no pixel is left, and its scale."""
    shrink = min(1.0, longest_px / max(image.shape[:2]))
    if min(image.shape[:2]) * shrink < 1:
        return None, shrink
    if shrink < 1:
        image = cv2.resize(image, None, fx=shrink, fy=shrink, interpolation=cv2.INTER_AREA)
    return image, shrink
