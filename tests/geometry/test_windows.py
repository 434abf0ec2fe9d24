import re

import pytest
import torch

from facegeo.geometry.windows import from_window, shift, to_window, window_of_region

WINDOW = (0.4, 0.6, 0.2, 0.1)  # x from .2 to .6, y from .5 to .7


@pytest.mark.parametrize(
    ("point", "place"),
    [
        ((0.4, 0.6), (0.5, 0.5)),
        ((0.2, 0.5), (0, 0)),
        ((0.6, 0.7), (1, 1)),
        ((0.1, 0.8), (-0.25, 1.5)),
    ],
    ids=["centre", "left-top", "right-bottom", "outside"],
)
def test_points_in_a_window_at_known_places(
    point: tuple[float, float], place: tuple[float, float]
) -> None:
    points, windows = torch.tensor([point]), torch.tensor([WINDOW])
    wanted = torch.tensor([place]).float()
    torch.testing.assert_close(to_window(points, windows), wanted)
    torch.testing.assert_close(from_window(wanted, windows), points)


def test_shift_moves_only_the_centre() -> None:
    moved = shift(torch.tensor([[WINDOW]]), torch.tensor([[[0.01, -0.02]]]))
    torch.testing.assert_close(moved, torch.tensor([[[0.41, 0.58, 0.2, 0.1]]]))


def test_window_of_a_region() -> None:
    assert window_of_region((-0.5, 1.5, 0.0, 0.5)) == (0.5, 0.25, 1.0, 0.25)


@pytest.mark.parametrize("region", [(1.0, 0.0, 0.0, 1.0), (0.0, 1.0, 0.5, 0.5)])
def test_empty_region_is_refused(region: tuple[float, ...]) -> None:
    with pytest.raises(ValueError, match=re.escape(f"x1 > x0 and y1 > y0, got {region}")):
        window_of_region(region)
