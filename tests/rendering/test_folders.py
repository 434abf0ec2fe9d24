"""Photoface sessions: the files agree with each other, as the readers of real ones assume."""

import csv
import re
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from facegeo.files.images import decode
from facegeo.rendering.folders import AXES
from facegeo.rendering.order import Order
from facegeo.rendering.write import fill


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("photoface") / "made"
    fill(
        folder, Order(layout="photoface", train=2, test=1, size=96, seed=1, maps=False), processes=1
    )
    return folder


def read(path: Path) -> NDArray[np.float64]:
    return decode(path.read_bytes()).astype(np.float64)


def faces(root: Path, split: str) -> list[str]:
    with (root / f"{split}.csv").open() as file:
        return [row["face"] for row in csv.DictReader(file)]


def test_lists_name_four_photographs_a_session(root: Path) -> None:
    train, test = faces(root, "train"), faces(root, "test")
    assert (len(train), len(test)) == (8, 4)
    assert all((root / face).is_file() for face in train + test)
    assert {Path(f).parts[0] for f in train}.isdisjoint({Path(f).parts[0] for f in test})
    assert len({Path(face).parts[0] for face in train}) == 1  # two sessions of one subject


def light_directions(text: str) -> np.ndarray:
    """Read as one public reader does: every second number of the file."""
    numbers = [float(number) for number in re.findall(r"-?\d+\.?\d*", text)][1::2]
    zenith, azimuth = np.radians(numbers).reshape(4, 2).T
    return np.stack(
        [np.sin(zenith) * np.cos(azimuth), np.sin(zenith) * np.sin(azimuth), np.cos(zenith)], axis=1
    )


def test_each_photograph_is_lit_from_its_own_light(root: Path) -> None:
    folder = root / Path(faces(root, "train")[0]).parent
    stored = read(folder / "sn_c.png") / 127.5 - 1
    mask = read(folder / "mask_c.png")[..., 0] > 127
    normals = np.empty_like(stored)  # from down, right, camera to x right, y up, z to camera
    normals[..., 0], normals[..., 1], normals[..., 2] = (
        stored[..., 1],
        -stored[..., 0],
        stored[..., 2],
    )
    np.testing.assert_allclose(np.linalg.norm(normals[mask], axis=1), 1, atol=0.02)
    lights = light_directions((folder / "LightSource.m").read_text())
    shading = (normals[mask] @ lights.T).clip(0)
    photos = [read(folder / f"im{k}_c.png")[mask].mean(axis=1) for k in range(4)]
    match = np.corrcoef(np.array(photos), shading.T)[:4, 4:]
    assert match.argmax(axis=1).tolist() == [0, 1, 2, 3]
    assert np.diag(match).min() > 0.6  # skin is not of one colour, and noses throw shadows


def test_normals_are_white_outside_the_face(root: Path) -> None:
    folder = root / Path(faces(root, "test")[0]).parent
    outside = read(folder / "mask_c.png")[..., 0] < 127
    assert (read(folder / "sn_c.png")[outside] == 255).all()


@pytest.mark.parametrize("frame", AXES)
def test_frames_are_permutations_with_signs(frame: str) -> None:
    axes, signs = zip(*AXES[frame], strict=True)
    assert sorted(axes) == [0, 1, 2]
    assert np.abs(signs).tolist() == [1, 1, 1]
