"""Panels of normals: each tile shows what its name says, pixel by pixel."""

import math
from collections.abc import Callable
from pathlib import Path

import cv2
import matplotlib as mpl
import numpy as np
import pytest
import torch
from matplotlib.figure import Figure
from numpy.typing import NDArray
from torch import Tensor

from facegeo.normals import panels
from facegeo.normals.panels import normal_panel

SIDE = 130  # not enlarged
CAMERA = torch.tensor([0.0, 0, 1]).view(1, 3, 1, 1).expand(2, 3, SIDE, SIDE)
IMAGES = torch.linspace(0, 1, SIDE).expand(2, 3, SIDE, SIDE)
MASK = torch.zeros(2, 1, SIDE, SIDE, dtype=torch.bool)
MASK[:, :, 20:100, 30:90] = True


def tilted(degrees: float) -> Tensor:
    """Maps that look to image-left of the camera by so much."""
    angle = math.radians(degrees)
    vector = torch.tensor([-math.sin(angle), 0, math.cos(angle)])
    return vector.view(1, 3, 1, 1).expand(2, 3, SIDE, SIDE)


def read(path: Path) -> NDArray[np.uint8]:
    picture = cv2.imread(str(path))
    assert picture is not None
    return np.asarray(picture[:, :, ::-1], dtype=np.uint8)


def tiles(picture: NDArray[np.uint8], row: int, side: int = SIDE, *, notes: bool) -> list[Tensor]:
    """The tiles of one row, each (side, side, 3)."""
    step = side + panels.GAP_PX
    upper = panels.TITLE_PX + panels.LABEL_PX + row * (step + (panels.NOTE_PX if notes else 0))
    lefts = range(panels.GAP_PX, picture.shape[1] - side, step)
    board = torch.from_numpy(picture.copy())
    return [board[upper : upper + side, left : left + side] for left in lefts]


def colour(tile: Tensor) -> list[int]:
    """The one colour of all mask pixels of a tile."""
    (found,) = set(map(tuple, tile[MASK[0, 0]].tolist()))
    return list(found)


def test_a_row_shows_input_stages_truth_error_and_lights(tmp_path: Path) -> None:
    stages = [tilted(60), tilted(20)]
    path = normal_panel(
        tmp_path / "deep/a.png",
        IMAGES,
        stages,
        "x",
        normal=CAMERA,
        mask=MASK,
        lights=("left", "right"),
    )
    for row in (0, 1):
        photo, first, last, truth, error, before, left, right = tiles(read(path), row, notes=True)
        torch.testing.assert_close(photo[5, :, 0], (IMAGES[0, 0, 5] * 255).round().byte())
        assert colour(first) == [17, 128, 191]  # (-sin 60, 0, cos 60) by hand
        assert colour(last) == [84, 128, 247]
        assert colour(truth) == [128, 128, 255]
        half = [round(255 * share) for share in mpl.colormaps[panels.COLOURS](0.5)[:3]]
        np.testing.assert_allclose(colour(error), half, atol=2)  # a step of the colour table
        assert colour(before) == [round(255 * math.cos(math.radians(15)))] * 3  # left, t = 0
        assert colour(left) == [round(255 * math.cos(math.radians(25)))] * 3
        assert colour(right) == [round(255 * math.cos(math.radians(65)))] * 3
        for tile in (first, last, truth, error, before, left, right):
            assert (tile[~MASK[0, 0]] == 255).all()


def test_without_truth_there_is_no_error_and_no_scale(tmp_path: Path) -> None:
    path = normal_panel(tmp_path / "a.png", IMAGES, [tilted(20)], "x", lights=("front",))
    picture = read(path)
    step = SIDE + panels.GAP_PX
    height = panels.TITLE_PX + panels.LABEL_PX + 2 * step
    assert picture.shape == (height, 3 * step + panels.GAP_PX, 3)
    bare = read(normal_panel(tmp_path / "b.png", IMAGES, [tilted(20)], "x", lights=()))
    assert bare.shape == (height, 2 * step + panels.GAP_PX, 3)
    _, normals, light = tiles(picture, 1, notes=False)
    assert (normals == torch.tensor([84, 128, 247])).all()
    assert (light == round(255 * math.cos(math.radians(20)))).all()


def test_mean_errors_of_each_face_are_written_under_each_stage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[str] = []
    original = Figure.text

    def text(self: object, x: float, y: float, said: str, **style: object) -> object:
        written.append(said)
        return original(self, x, y, said, **style)  # type: ignore[arg-type]

    monkeypatch.setattr(Figure, "text", text)
    mixed = torch.cat([tilted(60)[:1], tilted(30)[1:]])
    mask = MASK.clone()
    normal_panel(tmp_path / "a.png", IMAGES, [mixed, tilted(7.3)], "run", normal=CAMERA, mask=mask)
    assert [said for said in written if "°" in said] == ["60.0°", "30.0°", "7.3°", "7.3°"]
    names = ["run", "input", "t = 0", "t = 1", "ground truth", "error, t = 1"]
    assert [said for said in written if "°" not in said][:6] == names
    written.clear()
    mask[1] = False
    normal_panel(tmp_path / "a.png", IMAGES, [mixed], "run", normal=CAMERA, mask=mask)
    assert [said for said in written if "°" in said or said == "-"] == ["60.0°", "-"]


def test_a_pixel_without_direction_looks_like_the_worst(tmp_path: Path) -> None:
    broken = tilted(0).clone()
    broken[:, :, 50:60] = math.nan
    path = normal_panel(tmp_path / "a.png", IMAGES, [broken], "x", normal=CAMERA, mask=MASK)
    error = tiles(read(path), 0, notes=True)[3]
    worst = [round(255 * share) for share in mpl.colormaps[panels.COLOURS](1.0)[:3]]
    assert error[55, 60].tolist() == worst
    assert error[65, 60].tolist() != worst


def test_small_maps_are_enlarged_by_whole_numbers(tmp_path: Path) -> None:
    images = torch.rand(1, 3, 48, 48)
    path = normal_panel(tmp_path / "a.png", images, [torch.randn(1, 3, 48, 48)], "x")
    photo = tiles(read(path), 0, side=144, notes=False)[0]
    exact = (images[0] * 255).round().byte().permute(1, 2, 0)
    assert torch.equal(photo, exact.repeat_interleave(3, 0).repeat_interleave(3, 1))


def test_half_precision_and_gradients_do_not_matter(tmp_path: Path) -> None:
    stage = tilted(20).clone().bfloat16().requires_grad_()
    images, wide = IMAGES.bfloat16(), stage.detach().float()
    plain = normal_panel(tmp_path / "a.png", images.float(), [wide], "x", normal=CAMERA)
    half = normal_panel(tmp_path / "b.png", images, [stage], "x", normal=CAMERA)
    assert plain.read_bytes() == half.read_bytes()


Draw = Callable[[Path], Path]
BAD: dict[str, tuple[Draw, str]] = {
    "no-face": (
        lambda p: normal_panel(p, IMAGES[:0], [CAMERA[:0]], ""),
        "a face and a stage at least, got 0 and 1",
    ),
    "no-stage": (lambda p: normal_panel(p, IMAGES, [], ""), "at least, got 2 and 0"),
    "uneven": (
        lambda p: normal_panel(p, IMAGES, [CAMERA, CAMERA[:1]], ""),
        r"stage 1 must have shape \(2, 3, 130, 130\), got \(1, 3, 130, 130\)",
    ),
    "mask": (
        lambda p: normal_panel(p, IMAGES, [CAMERA], "", mask=MASK[:, 0]),
        r"mask must have shape \(2, 1, 130, 130\), got \(2, 130, 130\)",
    ),
    "truth": (
        lambda p: normal_panel(p, IMAGES, [CAMERA], "", normal=CAMERA[:1]),
        r"normal must have shape \(2, 3, 130, 130\), got \(1, 3, 130, 130\)",
    ),
    "light": (
        lambda p: normal_panel(p, IMAGES, [CAMERA], "", lights=("left", "noon")),
        "lights must be among front, left, right, above, below; got noon",
    ),
}


@pytest.mark.parametrize(("draw", "message"), BAD.values(), ids=BAD)
def test_invalid_drawings_are_refused(tmp_path: Path, draw: Draw, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        draw(tmp_path / "a.png")
    assert not (tmp_path / "a.png").exists()
