"""Relit photos, films and meshes of what was found."""

import io
import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import get_args

import cv2
import numpy as np
import pytest
from PIL import Image as Pillow

from facegeo.errors import UserError
from facegeo.geometry.light import LIGHTS
from facegeo.predict.detectors import WholeImage
from facegeo.predict.job import Summary
from facegeo.predict.normals import load_normals
from facegeo.predict.photo import Face, Image, read_photo
from facegeo.predict.results import ROTATING, Pictures, Relight, face_mesh, film_file
from facegeo.surfaces.lights import PRESETS

Predict = Callable[..., Summary]
Save = Callable[[Path, Image], Path]
BOX = "20,72,22,74"


def test_normals_light_and_meshes(
    tmp_path: Path,
    face: Image,
    save: Save,
    predict: Predict,
    small_normals: Callable[..., Path],
) -> None:
    save(tmp_path / "in/a.png", face)
    normals = load_normals(small_normals(tmp_path / "run"), "cpu")
    out = tmp_path / "out"
    always = {".normals.jpg", ".shading.jpg", ".points.jpg", ".json", ".npz", ".normal0.png"}
    obj = {".face0.obj", ".face0.mtl", ".face0.png", ".face0_normal.png"}
    for pictures, more in (
        (Pictures(relight="studio", mesh="ply"), {".relit.jpg", ".face0.ply"}),
        (Pictures(relight="rotating", mesh="obj"), {".face0.gif", *obj}),
    ):
        report = predict(WholeImage(), normals=normals, pictures=pictures)
        assert report.faults == []
        assert {p.name.removeprefix("a.png") for p in out.glob("a.png*")} == always | more
    arrays = np.load(out / "a.png.npz")
    assert arrays["normals"].shape == (1, 32, 32, 3)
    assert arrays["mask"].dtype == bool
    record = json.loads((out / "a.png.json").read_text())
    assert record["normal_axes"] == ["right", "up", "to the camera"]
    assert arrays["square"].tolist() == [record["faces"][0]["square"]]
    colours, mask = read_photo(out / "a.png.normal0.png"), arrays["mask"][0]
    off = np.abs(colours / 127.5 - 1 - arrays["normals"][0])[mask]
    assert off.max() < 0.5 / 127.5 + 1e-6
    assert (colours[~mask] == 255).all()
    np.testing.assert_allclose(np.linalg.norm(arrays["normals"], axis=3), 1, atol=1e-3)
    shown = read_photo(out / "a.png.normals.jpg")
    assert shown.shape == face.shape
    assert np.abs(shown.astype(int) - face).max() > 60
    assert read_photo(out / "sheet.jpg").shape == (160, 320, 3)


def test_unknown_lights_and_meshes_are_refused() -> None:
    wanted = (
        r"light must be 'front'.*; relight must be .*'rotating', got 'noon'; .*mesh must be 'obj'"
    )
    with pytest.raises(UserError, match=wanted):
        Pictures(light="noon", relight="noon", film="avi", mesh="stl")  # type: ignore[arg-type]
    assert {*get_args(Relight)} == {*PRESETS, ROTATING}
    assert {*get_args(Pictures.__annotations__["light"])} == {*LIGHTS}


def test_settings_without_effect_on_videos_are_reported(
    tmp_path: Path,
    face: Image,
    film: Callable[..., Path],
    predict: Predict,
    small_normals: Callable[..., Path],
) -> None:
    film(tmp_path / "clip.avi", [face] * 2)
    normals = load_normals(small_normals(tmp_path / "run"), "cpu")
    without_effect = []
    for pictures in (
        Pictures(),
        Pictures(relight="studio"),
        Pictures(relight="rotating", mesh="glb"),
    ):
        report = predict(WholeImage(), "clip.avi", normals, pictures=pictures)
        assert report.faults == []
        without_effect.append(report.only_of_photos)
        assert (tmp_path / "out/clip.avi.relit.mp4").exists() == (pictures.relight == "studio")
    assert without_effect == [[], [], ["relight=rotating", "mesh=glb"]]
    assert "relight=rotating" in report.tables(tmp_path)[-1].csv()


def test_a_light_that_turns_may_be_filmed_as_mp4(
    tmp_path: Path,
    face: Image,
    save: Save,
    predict: Predict,
    small_normals: Callable[..., Path],
) -> None:
    normals = load_normals(small_normals(tmp_path / "run"), "cpu")
    save(tmp_path / "a.png", face)
    predict(WholeImage(), "a.png", normals, pictures=Pictures(relight="rotating", film="mp4"))
    seen = cv2.VideoCapture(str(tmp_path / "out/a.png.face0.mp4"))
    assert seen.get(cv2.CAP_PROP_FRAME_COUNT) == 36


def test_a_face_without_mesh_or_film_is_reported_and_the_others_have_theirs(
    tmp_path: Path, face: Image, save: Save, predict: Predict
) -> None:
    """The first face's mask is empty: no triangle fits in it; its one pixel is no film's size."""

    def normals(images: Sequence[Image], faces: Sequence[Face]) -> list[Face]:
        up = np.zeros((32, 32, 3), np.float32) + np.array([0, 0, 1], np.float32)
        masks = [np.zeros((32, 32), bool), np.ones((32, 32), bool)]
        return [
            replace(face, square=(0, 0, side), normals=up, mask=mask)
            for face, mask, side in zip(faces, masks, (1, 90), strict=True)
        ]

    boxes = np.array([[20.0, 72, 22, 74]] * 2)
    save(tmp_path / "a.png", face)
    pictures = Pictures(relight="rotating", film="mp4", mesh="ply")
    report = predict(lambda *image: boxes, "a.png", normals, pictures=pictures)
    starts = [(name, why[:20]) for name, why in report.faults]
    assert starts == [("a.png", "face 0 has no film: "), ("a.png", "face 0 has no mesh: ")]
    assert (report.photos, report.faces) == (1, 2)
    assert {p.name for p in (tmp_path / "out").glob("a*.face*")} == {
        "a.png.face1.ply",
        "a.png.face1.mp4",
    }


def test_films_are_small_and_textures_as_fine_as_the_photo() -> None:
    """Of a square of 500 px."""
    photo = np.random.default_rng(0).integers(0, 256, (600, 700, 3)).astype(np.uint8)
    normals = np.zeros((32, 32, 3), np.float32) + np.array([0, 0, 1], np.float32)
    stages = np.zeros((1, 5, 2), np.float32)
    face = Face((0, 9, 0, 9), stages, (50, 100, 500), normals, np.ones((32, 32), bool))
    (film,) = film_file("b/a.face0", photo, face, "gif").values()
    with Pillow.open(io.BytesIO(film)) as image:
        assert image.size == (320, 320)
    files = face_mesh("b/a.face0", photo, face, "obj")
    names = ["b/a.face0.obj", "b/a.face0.mtl", "b/a.face0.png", "b/a.face0_normal.png"]
    assert sorted(files) == sorted(names)
    with Pillow.open(io.BytesIO(files["b/a.face0.png"])) as image:
        np.testing.assert_array_equal(np.asarray(image)[..., :3], photo[100:600, 50:550])
