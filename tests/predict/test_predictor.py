"""A predictor: one image or many, boxes given or found, normals with points."""

import subprocess
import sys
from collections.abc import Callable, Sequence
from itertools import chain
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image as Pillow
from torch import Tensor

import facegeo
from facegeo.errors import UserError
from facegeo.geometry.light import to_linear
from facegeo.normals.fast import FastCasFNE
from facegeo.normals.generator import CasFNE
from facegeo.predict.boxes import box_of_points
from facegeo.predict.detectors import WholeImage
from facegeo.predict.normals import FaceNormals, load_normals, outline_of
from facegeo.predict.photo import Boxes, Face, Floats, Image
from facegeo.predict.points import FindPoints, load_points
from facegeo.predict.predictor import AT_ONCE, Predictor, load
from facegeo.training.model_file import MODEL, save_model

FACES = Path("tests/fixtures/landmarks")
BOX = [20.0, 72.0, 22.0, 74.0]


def same(one: Face, other: Face) -> None:
    np.testing.assert_allclose(one.stages, other.stages, atol=1e-3)
    assert one.box == other.box


def test_one_and_many_in_every_form_give_the_same_faces(predictor: Predictor, face: Image) -> None:
    path = FACES / "test/000000.jpg"
    (alone,) = predictor(face, BOX)
    tensor = torch.from_numpy(face).permute(2, 0, 1)
    forms = [path, str(path), face, tensor, Pillow.fromarray(face)]
    for faces in predictor(forms, [BOX] * 5):
        same(faces[0], alone)
    for batch in (face[None].repeat(2, axis=0), tensor[None].repeat(2, 1, 1, 1)):
        for faces in predictor(batch, [BOX, [BOX]]):
            same(faces[0], alone)
    same(predictor(path, [BOX])[0], alone)


def test_several_faces_and_none(predictor: Predictor, face: Image) -> None:
    other = [25.0, 70.0, 25.0, 70.0]
    found = predictor([face, face], [[BOX, other], []])
    assert [len(faces) for faces in found] == [2, 0]
    assert [faces.box for faces in found[0]] == [(*BOX,), (*other,)]
    assert predictor(face, []) == []


def test_results_of_a_face(predictor: Predictor, face: Image) -> None:
    (found,) = predictor(face, BOX)
    assert found.stages.shape == (3, 5, 2)
    np.testing.assert_array_equal(found.points, found.stages[-1])
    assert found.normals is found.mask is found.square is None
    assert set(found.timings) == {"box", "points"}
    left, right, top, bottom = BOX
    assert ((found.points > [left, top]) & (found.points < [right, bottom])).all()


def test_boxes_are_detected_if_not_given(find_points: FindPoints, face: Image) -> None:
    predictor = Predictor(find_points, WholeImage())
    whole, given = predictor.many([face, face], [None, BOX])
    assert whole[0].box == (-0.5, 95.5, -0.5, 95.5)
    assert given[0].box == (*BOX,)


def test_a_detected_box_with_its_middle_off_the_image_is_dropped(
    find_points: FindPoints, face: Image
) -> None:
    boxes = np.array([[80.0, 130, 20, 70], BOX])
    predictor = Predictor(find_points, lambda *image: boxes)
    assert [found.box for found in predictor(face)] == [(*BOX,)]


def test_a_second_look_is_taken_where_the_points_are(find_points: FindPoints, face: Image) -> None:
    wide = [10.0, 80.0, 15.0, 85.0]
    once, twice, thrice = (Predictor(find_points, WholeImage(), looks=n) for n in (1, 2, 3))
    (first,), (second,), (third,) = once(face, wide), twice(face, wide), thrice(face, wide)
    (around,) = box_of_points(first.points[None]).tolist()
    np.testing.assert_allclose(second.box, around, atol=1e-3)
    same(once(face, around)[0], second)
    assert (
        np.abs(np.subtract(third.box, second.box)).max() < np.abs(np.subtract(around, wide)).max()
    )
    far = np.full((1, 3, 5, 2), -1e3, np.float32) + first.stages
    lost = Predictor(lambda images, boxes: [far], WholeImage(), looks=2)
    assert lost(face, wide)[0].box == (*wide,)
    with pytest.raises(UserError, match=r"looks must be .* 1, got 0"):
        Predictor(find_points, WholeImage(), looks=0)


def test_boxes_must_belong_to_the_images(predictor: Predictor, face: Image) -> None:
    with pytest.raises(ValueError, match="boxes must have one entry an image, 2, got 1"):
        predictor([face, face], [BOX])
    with pytest.raises(UserError, match="its middle in the 96 x 96 image"):
        predictor(face, [200, 250, 0, 50])


def test_facegeo_load_needs_a_name_and_no_torch_before() -> None:
    code = "import sys, facegeo; assert not {'torch', 'cv2', 'numpy'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
    (found,) = facegeo.load("ccnn-lfpw", device="cpu")(FACES / "test/000000.jpg")
    assert found.points.shape == (5, 2)


def generate(faces: Tensor) -> list[Tensor]:
    """Normals that hold the photo itself."""
    return [torch.zeros_like(faces), 2 * faces - 1]


def test_normals_cover_the_square_of_the_training(find_points: FindPoints, face: Image) -> None:
    predictor = Predictor(find_points, WholeImage(), FaceNormals(generate, 32, "cpu", batch=1))
    one, other = predictor.many([face, face[::-1].copy()], [BOX, [BOX]])
    (found,) = one
    eyes, mouth = found.points[:2], found.points[3:]
    side = 1.289 * (
        np.linalg.norm(eyes[1] - eyes[0]) + np.linalg.norm(eyes.mean(0) - mouth.mean(0))
    )
    assert found.square is not None
    assert found.square[2] == min(96, round(float(side)))
    left, top, side = found.square
    cut = Pillow.fromarray(face[top : top + side, left : left + side]).resize((32, 32), Pillow.BOX)
    shown = (found.normals + 1) / 2 * 255
    assert np.abs(shown - np.asarray(cut, float)).mean() < 4
    assert found.normals.shape == (32, 32, 3)
    assert "normals" in found.timings
    assert other[0].normals is not None


def test_a_model_of_linear_photos_is_shown_them_so(find_points: FindPoints, face: Image) -> None:
    shown = []
    for coding in (None, "srgb", "linear"):
        find_normals = FaceNormals(generate, 32, coding=coding)
        (found,) = Predictor(find_points, WholeImage(), find_normals)(face, BOX)
        shown.append((torch.from_numpy(found.normals) + 1) / 2)
    torch.testing.assert_close(shown[0], shown[1])
    torch.testing.assert_close(shown[2], to_linear(shown[0]))


def test_each_face_is_cut_out_of_its_own_photo(find_points: FindPoints, face: Image) -> None:
    wide = np.pad(face, ((0, 0), (60, 0), (0, 0)))
    places = [[BOX], [[edge + 60 * (number < 2) for number, edge in enumerate(BOX)], BOX]]
    for batch in (1, 2, 8):
        predictor = Predictor(find_points, WholeImage(), FaceNormals(generate, 32, "cpu", batch))
        together = predictor.many([face, wide], places)
        alone = [predictor.many([face], places[:1])[0], predictor.many([wide], places[1:])[0]]
        for got, wanted in zip(chain(*together), chain(*alone), strict=True):
            assert got.square == wanted.square
            np.testing.assert_allclose(got.normals, wanted.normals, atol=1e-6)
        first, second = together[0][0].square, together[1][0].square
        assert first is not None
        assert second is not None
        assert second[0] == first[0] + 60


def test_the_mask_is_the_outline_in_the_square(find_points: FindPoints, face: Image) -> None:
    predictor = Predictor(find_points, WholeImage(), FaceNormals(generate, 240))
    (found,) = predictor(face, BOX)
    assert found.mask is not None
    assert found.mask.shape == (240, 240)
    left, top, side = found.square
    low, high = np.nonzero(found.mask.any(axis=0))[0][[0, -1]]
    outline = (outline_of(found.points)[:, 0] - left + 0.5) * 240 / side - 0.5
    assert low == pytest.approx(max(0, outline.min()), abs=2)
    assert high == pytest.approx(min(239, outline.max()), abs=2)
    assert 0.4 < found.mask.mean() < 0.75
    places = np.rint((found.points - [left, top]) * 240 / side).astype(int)
    assert found.mask[places[:, 1], places[:, 0]].all()


def test_models_that_find_something_else_are_refused(
    tmp_path: Path, small_normals: Callable[..., Path]
) -> None:
    run = small_normals(tmp_path / "run")
    assert load_normals(run, "cpu").size == 32
    assert load_normals(run, "cpu").coding is None
    assert load_normals(small_normals(tmp_path / "new", coding="linear"), "cpu").coding == "linear"
    with pytest.raises(UserError, match=r"run finds normals: .* as normals=.*run"):
        load_points(run, "cpu")
    with pytest.raises(UserError, match="normals=ccnn-lfpw finds points"):
        load_normals("ccnn-lfpw", "cpu")
    with pytest.raises(UserError, match=r"device must be cpu, auto, or cuda .*; got gpu"):
        facegeo.load(device="gpu")
    with pytest.raises(UserError, match="no model called nobody"):
        facegeo.load("nobody")


def test_photos_are_read_a_few_at_a_time_and_stay_in_order(tmp_path: Path) -> None:
    """The first are predicted although a later one is missing."""
    calls = []

    def find_points(images: Sequence[Image], boxes: Sequence[Boxes]) -> Sequence[Floats]:
        calls.append(len(images))
        return [np.full((1, 1, 5, 2), image[0, 0, 0], np.float32) for image in images]

    predictor = Predictor(find_points, WholeImage())
    count = 2 * AT_ONCE + 3
    photos = [np.full((4, 4, 3), n, np.uint8) for n in range(count)]
    for many in (photos, np.stack(photos), (photo for photo in photos)):
        calls.clear()
        found = predictor.many(many)
        assert [faces[0].points[0, 0] for faces in found] == list(range(count))
        assert calls == [AT_ONCE, AT_ONCE, 3]
    calls.clear()
    with pytest.raises(UserError, match=r"gone\.jpg: wanted a readable image"):
        predictor.many([*photos, tmp_path / "gone.jpg"])
    assert calls == [AT_ONCE, AT_ONCE]
    boxes = [None, *[[0, 2 + n % 2, 0, 2] for n in range(1, count)]]
    found = predictor.many(photos, boxes)
    assert [faces[0].box[1] for faces in found] == [3.5, *[2 + n % 2 for n in range(1, count)]]
    assert predictor.many([]) == []


def test_a_generator_runs_in_its_fast_form_with_equal_outputs(tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = CasFNE(t=1).eval()
    config = {"_target_": "facegeo.normals.generator.CasFNE", "t": 1}
    save_model(tmp_path / MODEL, model, config, {"size": 64})
    loaded = load_normals(tmp_path, "cpu").generate
    assert isinstance(loaded, FastCasFNE)
    faces = torch.rand(2, 3, 64, 64)
    with torch.inference_mode():
        for one, other in zip(loaded(faces), model(faces), strict=True):
            torch.testing.assert_close(one, other, atol=1e-4, rtol=0)


@pytest.mark.parametrize(
    ("normals", "name"), [(True, "casfne-faces"), ("true", "casfne-faces"), ("gone", "gone")]
)
def test_true_is_the_released_model_of_normals(
    normals: str | bool, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[object] = []
    monkeypatch.setattr(
        "facegeo.predict.predictor.load_normals", lambda name, device: asked.append(name)
    )
    load("ccnn-lfpw", normals=normals, device="cpu")
    assert asked == [name]
    assert load("ccnn-lfpw", normals=False, device="cpu").find_normals is None
