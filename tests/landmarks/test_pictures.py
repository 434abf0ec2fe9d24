"""Pictures: marks lie where the points are, curves where the numbers are, nothing leaks."""

from collections.abc import Callable
from pathlib import Path

import cv2
import matplotlib as mpl
import numpy as np
import pytest
import torch
from matplotlib.colors import to_rgb
from numpy.typing import NDArray

from facegeo.landmarks import figures as faces
from facegeo.landmarks.figures import ced_plot, found_points, stage_plot
from facegeo.training.canvas import COLOURS

GREY = np.full((100, 100, 3), 90, np.uint8)
ERRORS = torch.tensor([[2.0, 2.2, 2.8, 2.4, 2.6], [2.2, 2.2, 3.0, 2.4, 2.2]])
CURVE = (torch.linspace(0, 10, 11), torch.linspace(0, 1, 11))


def read(path: Path) -> NDArray[np.uint8]:
    """The picture as RGB bytes, (H, W, 3)."""
    picture = cv2.imread(str(path))
    assert picture is not None
    return np.asarray(picture[:, :, ::-1], dtype=np.uint8)


def places(picture: NDArray[np.uint8], colour: str) -> NDArray[np.int64]:
    """Pixels (x, y) of exactly that colour, (N, 2)."""
    wanted = np.round(255 * np.array(to_rgb(colour))).astype(np.uint8)
    return np.argwhere((picture == wanted).all(axis=2))[:, ::-1]


def face_points(spot: tuple[float, float]) -> torch.Tensor:
    return torch.tensor(spot).expand(1, 5, 2)


@pytest.mark.parametrize("spot", [(20.0, 30.0), (70.0, 55.0)])
def test_marks_are_at_the_points(tmp_path: Path, spot: tuple[float, float]) -> None:
    red = GREY.copy()
    red[int(spot[1]) - 6 : int(spot[1]) + 7, int(spot[0]) - 6 : int(spot[0]) + 7] = (255, 0, 0)
    away = face_points((90.0, 90.0))
    bare = read(found_points(tmp_path / "a.png", [red], away, away, "red spot"))
    marked = read(found_points(tmp_path / "b.png", [red], away, face_points(spot), "red spot"))
    tiles = slice(0, faces.HEADER_PX + faces.TILE_PX)  # the legend below has marks of its own
    cross = places(marked[tiles], "#FFE800").mean(axis=0)
    # 1.5 px: smoothed edges of the mark are not of exactly its colour, and not on all sides alike.
    np.testing.assert_allclose(cross, places(bare[tiles], "#FF0000").mean(axis=0), atol=1.5)


def test_points_off_the_image_and_not_finite_are_left_out(tmp_path: Path) -> None:
    gone = torch.tensor([[150.0, 50.0], [50.0, -20.0], [float("nan"), 5.0], [5.0, float("inf")]])
    gone = torch.cat([gone, torch.tensor([[-50.0, 50.0]])])[None]
    picture = read(found_points(tmp_path / "a.png", [GREY], gone, gone, "none"))
    tiles = slice(0, faces.HEADER_PX + faces.TILE_PX)
    assert len(places(picture[tiles], "#FFE800")) == 0


def test_grid_grows_by_rows_whatever_the_images_sizes(tmp_path: Path) -> None:
    images = [GREY[: 20 + i, : 30 + i] for i in range(7)]
    points = torch.full((7, 5, 2), 10.0)
    picture = read(found_points(tmp_path / "deep/a.png", images, points, points, "x", columns=3))
    height = 3 * faces.TILE_PX + faces.HEADER_PX + faces.LEGEND_PX
    assert picture.shape == (height, 3 * faces.TILE_PX, 3)


def test_curve_runs_through_its_numbers(tmp_path: Path) -> None:
    picture = read(ced_plot(tmp_path / "a.png", {"line": CURVE}, "a straight line"))
    x, y = places(picture, COLOURS[0]).T
    inside = x < 0.6 * picture.shape[1]  # the legend's sample lies at the right
    slope, _ = np.polyfit(x[inside], y[inside], 1)
    frame = places(picture, "#000000")  # axes from 0 to 10 % and from 0 to 100 %
    rows, columns = np.bincount(frame[:, 1]), np.bincount(frame[:, 0])
    top, bottom = np.flatnonzero(rows > 400)[[0, -1]]
    left, right = np.flatnonzero(columns > 300)[[0, -1]]
    assert slope == pytest.approx(-(bottom - top) / (right - left), rel=0.01)


def test_every_stage_and_every_mark_of_the_paper_is_drawn(tmp_path: Path) -> None:
    stages = {f"stage {i}": ERRORS / i for i in (1, 2, 3)}
    plain = read(stage_plot(tmp_path / "a.png", stages, "ours"))
    counts = [len(places(plain, colour)) for colour in COLOURS[:4]]
    assert min(counts[:3]) > 300
    assert counts[3] == 0
    beside = read(stage_plot(tmp_path / "b.png", stages, "ours", paper={"stage 2": 1.37}))
    assert len(places(beside, COLOURS[1])) > counts[1] + 50


def test_spread_over_seeds_shows_as_bars(tmp_path: Path) -> None:
    same = {"stage 1": ERRORS.mean(dim=0, keepdim=True)}
    alone = places(read(stage_plot(tmp_path / "a.png", same, "")), COLOURS[0])
    several = places(read(stage_plot(tmp_path / "b.png", {"stage 1": ERRORS}, "")), COLOURS[0])
    assert len(several) > len(alone) + 50


DRAWINGS: dict[str, Callable[[Path], Path]] = {
    "faces": lambda p: found_points(p, [GREY], face_points((1, 2)), face_points((3, 4)), "x"),
    "curves": lambda p: ced_plot(p, {"stage 1": CURVE}, "x"),
    "stages": lambda p: stage_plot(p, {"stage 1": ERRORS}, "x"),
}


@pytest.mark.parametrize("draw", DRAWINGS.values(), ids=DRAWINGS)
def test_the_same_drawing_is_the_same_file_and_does_not_change_matplotlib(
    tmp_path: Path, draw: Callable[[Path], Path]
) -> None:
    import matplotlib.pyplot as plt

    settings, figures = dict(mpl.rcParams), plt.get_fignums()
    first, second = draw(tmp_path / "a.png"), draw(tmp_path / "b.png")
    assert first.read_bytes() == second.read_bytes()
    assert (dict(mpl.rcParams), plt.get_fignums()) == (settings, figures)


POINTS = face_points((1.0, 2.0))
BAD: dict[str, tuple[Callable[[Path], Path], str]] = {
    "no-faces": (lambda p: found_points(p, [], POINTS, POINTS, ""), "at least one face, got none"),
    "float-image": (
        lambda p: found_points(p, [GREY, GREY / 255], POINTS, POINTS, ""),  # type: ignore[list-item]
        r"image 1 must be uint8 of shape \(H, W, 3\), got float64 of shape \(100, 100, 3\)",
    ),
    "too-few-points": (
        lambda p: found_points(p, [GREY, GREY], POINTS, POINTS, ""),
        r"target must have shape \(2, 5, 2\), got \(1, 5, 2\)",
    ),
    "no-curve": (lambda p: ced_plot(p, {}, ""), r"curves must be 1 to 7, got 0: \[\]"),
    "uneven-curve": (
        lambda p: ced_plot(p, {"a": (torch.zeros(3), torch.zeros(2))}, ""),
        r"shares of a must have shape \(3,\), got \(2,\)",
    ),
    "no-stage": (lambda p: stage_plot(p, {}, ""), r"1 to 7 stages, got \[\]"),
    "six-points": (
        lambda p: stage_plot(p, {"a": torch.zeros(1, 6)}, ""),
        r"errors of a must have shape \(S, 5\), got \(1, 6\)",
    ),
    "stage-of-the-paper": (
        lambda p: stage_plot(p, {"a": ERRORS}, "", paper={"b": 1.0}),
        r"paper must name stages among \['a'\], got \['b'\]",
    ),
}


@pytest.mark.parametrize(("draw", "message"), BAD.values(), ids=BAD)
def test_invalid_drawings_are_refused(
    tmp_path: Path, draw: Callable[[Path], Path], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        draw(tmp_path / "a.png")
    assert not (tmp_path / "a.png").exists()
