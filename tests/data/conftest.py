from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

Writer = Callable[..., Path]
BOX = (8, 28, 10, 30)
POINTS = (13, 16, 23, 16, 18, 21, 14, 26, 22, 26)


def list_line(name: str, box: object = BOX, points: object = POINTS) -> str:
    return " ".join(str(field) for field in (name, *box, *points))  # type: ignore[misc]


@pytest.fixture
def face_folder(tmp_path: Path) -> Writer:
    """Writes a folder with a list and 40 x 36 images, each of one colour of its own."""

    def write(names: list[str], list_name: str = "list.txt") -> Path:
        root = tmp_path / "faces"
        for number, name in enumerate(names):
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            image = np.full((36, 40, 3), (number % 256, number // 256, 200), np.uint8)
            path.write_bytes(cv2.imencode(path.suffix, image)[1].tobytes())
        lines = "".join(f"{list_line(name)}\r\n" for name in names)
        (root / list_name).write_bytes(lines.encode())
        return root

    return write
