"""experiments/casfne/geometry.py: surfaces of generated faces, their errors, the files."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from torch import Tensor, nn

from facegeo.errors import UserError
from facegeo.geometry.light import to_srgb

QUESTION = {"faces": 2, "size": 64, "seed": 1, "blur_pct": 5.0, "scale_pct": 8.0}


class Straight(nn.Module):
    """Sees a flat wall in every photo."""

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        return (torch.tensor([0.0, 0, 1]).view(1, 3, 1, 1).expand_as(images),)


@pytest.fixture(scope="module")
def geometry(script: Callable[[str], ModuleType]) -> ModuleType:
    return script("experiments/casfne/geometry.py")


@pytest.fixture(scope="module")
def measured(
    geometry: ModuleType, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, dict[str, float]]:
    folder = tmp_path_factory.mktemp("geometry") / "new"
    question = geometry.Question(**QUESTION)
    return folder, geometry.measure_geometry(question, folder, Straight())


def test_true_normals_make_the_surface_and_the_mask_helps(
    measured: tuple[Path, dict[str, float]],
) -> None:
    _, results = measured
    assert results["true/weighted/depth_pct"] < 1
    assert results["true/weighted/depth_pct"] < 0.7 * results["true/dct/depth_pct"]
    assert results["true surface/depth_pct"] == 0


def test_detail_of_true_normals_corrects_the_coarse_surface(
    measured: tuple[Path, dict[str, float]],
) -> None:
    _, results = measured
    for end in ("depth_pct", "angle_deg"):
        assert results[f"true/detail/{end}"] < 0.6 * results[f"coarse surface/{end}"]


def test_a_model_is_measured_beside_the_truth(measured: tuple[Path, dict[str, float]]) -> None:
    _, results = measured
    assert results["model/normals/angle_deg"] > 25
    assert "model/normals/depth_pct" not in results
    assert results["model/weighted/angle_deg"] == pytest.approx(
        results["model/normals/angle_deg"], abs=0.1
    )
    # a wall says that all that is short is wrong, but the coarse surface keeps what is long
    for end in ("depth_pct", "angle_deg"):
        coarse, refined, wall = (
            results[f"{name}/{end}"] for name in ("coarse surface", "model/detail", "model/dct")
        )
        assert coarse < refined < wall


class Recorder(Straight):
    """Keeps the photos that it sees."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[Tensor] = []

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        self.seen.append(images)
        return super().forward(images)


def test_a_model_sees_photos_coded_as_those_it_was_trained_on(
    geometry: ModuleType, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    one, seen = geometry.Question(**QUESTION | {"faces": 1}), {}
    for coding in ("linear", "srgb"):
        model = Recorder()
        geometry.measure_geometry(one, tmp_path / coding, model, {"coding": coding, "size": 32})
        (seen[coding],) = model.seen
    torch.testing.assert_close(seen["srgb"], to_srgb(seen["linear"]))
    assert "trained on faces of 32 px, these are 64 px: set size" in caplog.text


def test_everything_is_written(
    geometry: ModuleType, measured: tuple[Path, dict[str, float]]
) -> None:
    folder, results = measured
    assert json.loads((folder / "metrics.json").read_text()) == results
    assert "| true/weighted |" in (folder / "geometry.md").read_text()
    picture = cv2.imread(str(folder / "faces.png"))
    assert picture is not None
    height, width = picture.shape[:2]
    assert width == 8 * (128 + 4) + 4  # 64 px are shown doubled
    assert height > 2 * 128
    assert (folder / "face.gif").read_bytes()[:3] == b"GIF"
    assert (folder / "face.glb").read_bytes()[:4] == b"glTF"


def test_an_offset_is_no_error_and_a_step_counts_in_widths_of_the_face(
    geometry: ModuleType,
) -> None:
    mask = np.zeros((20, 30), dtype=bool)
    mask[2:18, 5:25] = True  # 20 wide
    true = np.zeros((20, 30))
    normals = np.broadcast_to((0.0, 0.0, 1.0), (20, 30, 3))
    face: Any = SimpleNamespace(
        render=SimpleNamespace(mask=mask, depth=true, normals=normals), width=20
    )
    assert geometry._errors(face, true + 7) == (0, 0)
    stepped = true.copy()
    stepped[:, 20:] = 4.0  # a quarter of the face stands out by a fifth of its width
    depth, angle = geometry._errors(face, stepped)
    assert depth == pytest.approx(5)
    assert 0 < angle < 20


def test_pixels_of_no_triangle_have_no_angle(geometry: ModuleType) -> None:
    true = np.broadcast_to((0.0, 0.0, 1.0), (3, 3, 3))
    found = np.broadcast_to((0.0, 0.6, 0.8), (3, 3, 3)).copy()
    found[0, 0] = 0
    whole = np.ones((3, 3), dtype=bool)
    assert geometry._angle(found, true, whole) == pytest.approx(np.degrees(np.arccos(0.8)))


def test_faces_are_the_seeds_and_their_lights_take_turns(geometry: ModuleType) -> None:
    first, second = geometry.known_faces(geometry.Question(**QUESTION))
    again = next(
        geometry.known_faces(geometry.Question(faces=1, size=64, seed=1, blur_pct=9, scale_pct=1))
    )
    other = next(
        geometry.known_faces(geometry.Question(faces=1, size=64, seed=2, blur_pct=5, scale_pct=8))
    )
    np.testing.assert_array_equal(first.image, again.image)
    assert (first.render.normals != other.render.normals).any()
    assert (first.render.normals != second.render.normals).any()
    for face in (first, second):  # lit from the right (azimuth 42 degrees), then from the left
        face_x = face.image.astype(float).sum(axis=2) * face.render.mask
        right = face_x[:, 32:].sum() > face_x[:, :32].sum()
        assert right == (face is first)


def test_the_coarse_surface_is_the_true_one_without_short_waves(geometry: ModuleType) -> None:
    face = next(geometry.known_faces(geometry.Question(**QUESTION)))
    coarse = geometry.surfaces_of(geometry.Question(**QUESTION), face, {})["coarse surface"]
    mask = face.render.mask
    assert np.isfinite(coarse[mask]).all()
    rough = [np.abs(np.diff(d, 2, axis=1))[mask[:, 1:-1]] for d in (coarse, face.render.depth)]
    assert np.nanmedian(rough[0]) < 0.8 * np.nanmedian(rough[1])
    assert abs((coarse - face.render.depth)[mask].mean()) < 0.01 * face.width


def test_flat_areas_stay_in_place_up_to_the_edge(geometry: ModuleType) -> None:
    mask = np.zeros((40, 40), dtype=bool)
    mask[5:30, 8:30] = True
    flat = np.where(mask, np.float32(10), np.float32(np.nan))
    face: Any = SimpleNamespace(render=SimpleNamespace(mask=mask, depth=flat), width=22)
    coarse = geometry.surfaces_of(geometry.Question(**QUESTION), face, {})["coarse surface"]
    np.testing.assert_allclose(coarse[mask], 10, rtol=1e-6)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"faces": 0}, "faces must be 1 or more, got 0"),
        ({"size": 8}, "size must be greater than or equal to 32, got 8"),
        ({"head": "bust"}, "head must be 'anny' or 'ict', got 'bust'"),
        ({"blur_pct": 0.0}, "blur_pct must be from 0.5 to 50, got 0"),
        ({"scale_pct": 99.0}, "scale_pct must be from 0.5 to 50, got 99"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_errors_are_reported_before_any_work(
    geometry: ModuleType, tmp_path: Path, change: dict[str, Any], message: str
) -> None:
    keys: dict[str, Any] = {"faces": 1, "size": 64, "seed": 0, "blur_pct": 5.0, "scale_pct": 8.0}
    with pytest.raises(UserError, match=message):
        geometry.measure_geometry(geometry.Question(**(keys | change)), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_folder_with_other_files_is_left_alone(geometry: ModuleType, tmp_path: Path) -> None:
    run = tmp_path / "metrics.json"
    run.write_text("{}")
    with pytest.raises(UserError, match="must be new, empty or written by this script"):
        geometry.measure_geometry(geometry.Question(**QUESTION), tmp_path)
    assert [file.name for file in tmp_path.iterdir()] == ["metrics.json"]


def test_its_own_folder_is_written_anew(
    geometry: ModuleType, measured: tuple[Path, dict[str, float]], tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(measured[0], tmp_path / "before"))
    smaller = geometry.Question(faces=1, size=48, seed=3, blur_pct=5, scale_pct=8)
    results = geometry.measure_geometry(smaller, folder)
    assert json.loads((folder / "metrics.json").read_text()) == results
