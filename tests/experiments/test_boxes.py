"""experiments/ccnn/boxes.py: errors in moved boxes, a detector's mapping, the files."""

import json
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch

from facegeo.landmarks.data import LFPWDataModule
from facegeo.landmarks.evaluate import find_points, measure
from facegeo.landmarks.nets import Cascade
from facegeo.landmarks.views import Augment
from facegeo.predict.boxes import BoxMapping
from facegeo.predict.photo import read_photo
from facegeo.predict.points import CascadePoints
from facegeo.training.model_file import load_model

GIVEN = np.array([[10.0, 50, 20, 60], [0, 30, 0, 30], [5, 25, 5, 25]])


@pytest.fixture(scope="module")
def measuring(script: Callable[[str], ModuleType]) -> ModuleType:
    return script("experiments/ccnn/boxes.py")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> LFPWDataModule:
    cache = str(tmp_path_factory.mktemp("cache"))
    return LFPWDataModule("tests/fixtures/landmarks", cache, Augment())


@pytest.fixture(scope="module")
def cascade() -> Cascade:
    model, _ = load_model("ccnn-lfpw")
    assert isinstance(model, Cascade)
    return model


def test_in_the_given_boxes_errors_are_those_of_an_evaluation(
    measuring: ModuleType, data: LFPWDataModule, cascade: Cascade
) -> None:
    faces = data.faces("test")
    rows = torch.arange(len(faces.boxes))
    errors = measuring.errors_in(cascade, faces, rows, faces.boxes, "cpu")
    measured = measure(find_points(cascade, data, "test", torch.device("cpu")), "test")
    wanted = [m.compute()[f"test/{name}/error_pct"] for name, m in measured.items()]
    torch.testing.assert_close(errors.mean(dim=0), torch.stack(wanted).float(), atol=1e-3, rtol=0)


def test_errors_are_shares_of_the_given_box_whatever_box_was_looked_in(
    measuring: ModuleType, data: LFPWDataModule, cascade: Cascade
) -> None:
    faces = data.faces("test")
    boxes = measuring.moved(faces.boxes[:1], 0.0, 1.3, 0)
    image = read_photo(data.root / faces.names[0])
    (points,) = CascadePoints(cascade)([image], [boxes.double().numpy()])
    away = torch.from_numpy(points[0, -1]) - faces.points[0]
    wanted = 100 * away.norm(dim=1).mean() / (faces.boxes[0, 1] - faces.boxes[0, 0])
    got = measuring.errors_in(cascade, faces, torch.tensor([0]), boxes, "cpu")[0, -1]
    # Levels of the two begin at other pixels: some hundredths of a pixel.
    torch.testing.assert_close(got, wanted, atol=0.1, rtol=0)


def test_errors_grow_with_the_move_face_by_face(
    measuring: ModuleType, data: LFPWDataModule, cascade: Cascade
) -> None:
    faces = data.faces("test")
    rows = torch.tensor([3, 1])
    still, far = (
        measuring.errors_in(
            cascade, faces, rows, measuring.moved(faces.boxes[rows], shift, 1.0, 0), "cpu"
        )
        for shift in (0.0, 0.6)
    )
    assert (far[:, -1] > 5 * still[:, -1]).all()
    other = measuring.errors_in(cascade, faces, rows[1:], faces.boxes[rows[1:]], "cpu")
    torch.testing.assert_close(other[0], still[1], atol=1e-3, rtol=0)


def test_a_second_look_corrects_a_wrong_box(
    measuring: ModuleType, data: LFPWDataModule, cascade: Cascade
) -> None:
    faces = data.faces("train")
    rows = torch.arange(len(faces.boxes))
    boxes = measuring.moved(faces.boxes, 0.15, 1.0, 0)
    once, twice = (
        measuring.errors_in(cascade, faces, rows, boxes, "cpu", n)[:, -1].mean() for n in (1, 2)
    )
    assert twice < 0.8 * once


def test_boxes_move_by_their_sides_in_every_direction(measuring: ModuleType) -> None:
    boxes = torch.tensor([[10.0, 30, 20, 60]]).expand(1000, 4)
    got = measuring.moved(boxes, 0.5, 2.0, seed=0)
    sides = torch.stack([got[:, 1] - got[:, 0], got[:, 3] - got[:, 2]], dim=1)
    torch.testing.assert_close(sides, torch.tensor([[40.0, 80]]).expand(1000, 2))
    middle = torch.stack([got[:, :2].mean(dim=1) - 20, got[:, 2:].mean(dim=1) - 40], dim=1)
    length = (middle / torch.tensor([20.0, 40])).norm(dim=1)
    torch.testing.assert_close(length, torch.full((1000,), 0.5))
    assert (middle.mean(dim=0).abs() < 1).all()
    torch.testing.assert_close(measuring.moved(boxes, 0.0, 1.0, seed=3), boxes)
    assert measuring.moved(boxes, 0.5, 1.0, seed=1).equal(measuring.moved(boxes, 0.5, 1.0, seed=1))


def test_the_box_that_overlaps_most_is_the_faces(measuring: ModuleType) -> None:
    none = np.zeros((0, 4))
    far = np.array([[80.0, 99, 80, 99]])
    found = [np.concatenate([far, GIVEN[:1] + 4, GIVEN[:1] + 1]), none, far]
    matched = measuring.match(GIVEN, found)
    assert matched.rows.tolist() == [0]
    np.testing.assert_array_equal(matched.boxes, GIVEN[:1] + 1)
    assert (matched.images, matched.others) == (3, 3)
    assert measuring.match(GIVEN[:1], [none]).boxes.shape == (0, 4)


def test_the_mapping_that_made_the_boxes_is_found_through_some_wrong_ones(
    measuring: ModuleType,
) -> None:
    random = np.random.default_rng(0)
    low = random.uniform(0, 50, (200, 2))
    side = random.uniform(20, 60, (200, 1))
    own = np.stack([low[:, 0], low[:, 0] + side[:, 0], low[:, 1], low[:, 1] + side[:, 0]], axis=1)
    wanted = BoxMapping(right=0.03, down=-0.1, scale=0.8)
    given = wanted(own)
    given[:40] += 30  # another face
    fitted, spread = measuring.fit_mapping(given, own)
    for name in ("right", "down", "scale"):
        assert getattr(fitted, name) == pytest.approx(getattr(wanted, name), abs=1e-9)
        assert getattr(spread, name) == pytest.approx(0, abs=1e-9)
    noisy, spread = measuring.fit_mapping(given[40:] + random.normal(0, 2, (160, 4)), own[40:])
    assert noisy.scale == pytest.approx(0.8, abs=0.03)
    assert spread.scale > 0.01


def test_tables_plot_and_numbers_are_written(
    measuring: ModuleType, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    words = ["--shifts", "0", "0.4", "--scales", "1", "1.2", "--cache-dir", str(tmp_path / "cache")]
    measuring.main(["tests/fixtures/landmarks", *words, "--out", str(tmp_path / "out")])
    assert "Haar's, mapped" in capsys.readouterr().out
    names = {"grid.csv", "grid.md", "mapping.csv", "detector.csv", "boxes.png", "metrics.json"}
    assert names <= {path.name for path in (tmp_path / "out").iterdir()}
    numbers = json.loads((tmp_path / "out/metrics.json").read_text())
    here, there = (numbers[f"shift{move}/scale1/stage3/error_pct"] for move in ("0", "0.4"))
    assert here < 3 < there
    assert numbers["haar/mapped/stage3/error_pct"] < numbers["haar/raw/stage3/error_pct"]
    assert numbers["haar/found_pct"] >= 75


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--shifts", "0.1"], "--shifts must hold 0"),
        (["--scales", "0.9"], "--scales must hold 1"),
        (["--scales", "1", "0"], "--scales must hold 1, the given box, and none below 0.1"),
    ],
)
def test_wrong_moves_and_scales_are_refused(
    measuring: ModuleType, capsys: pytest.CaptureFixture[str], words: list[str], message: str
) -> None:
    with pytest.raises(SystemExit, match="2"):
        measuring.main(["nowhere", *words])
    assert message in capsys.readouterr().err
