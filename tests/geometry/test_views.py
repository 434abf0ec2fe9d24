import math

import pytest
import torch
from torch import Tensor

from facegeo.geometry.windows import flip_names, from_frame, to_frame, view_frames

BOX = (100.0, 140.0, 50.0, 70.0)  # 40 x 20 px about (120, 60)


def frame(
    angle_deg: float = 0.0,
    flip: bool = False,
    scale: float = 1.0,
    shift: tuple[float, float] = (0.0, 0.0),
) -> Tensor:
    return view_frames(
        torch.tensor([BOX]),
        torch.tensor([math.radians(angle_deg)]),
        torch.tensor([flip]),
        torch.tensor([scale]),
        torch.tensor([shift]),
    )


@pytest.mark.parametrize(
    ("seen", "pixel", "place"),
    [
        ({}, (100, 50), (0, 0)),
        ({}, (140, 70), (1, 1)),
        ({"angle_deg": 90}, (130, 60), (0.5, 0.0)),  # from the right to the top, 10 px both
        ({"angle_deg": 90}, (120, 50), (0.25, 0.5)),  # from the top to the left
        ({"angle_deg": -90}, (130, 60), (0.5, 1.0)),
        ({"flip": True}, (110, 55), (0.75, 0.25)),
        ({"scale": 2.0}, (130, 65), (1.0, 1.0)),
        ({"shift": (0.1, 0.0)}, (120, 60), (0.4, 0.5)),
        ({"shift": (0.0, 0.1)}, (120, 60), (0.5, 0.4)),
        ({"angle_deg": 90, "flip": True}, (120, 50), (0.75, 0.5)),  # top, left, then right
        ({"angle_deg": 90, "scale": 2.0}, (125, 60), (0.5, 0.0)),
        ({"flip": True, "shift": (0.1, 0.0)}, (110, 60), (0.65, 0.5)),
    ],
    ids=lambda value: str(value) if isinstance(value, dict) else None,
)
def test_where_a_pixel_is_seen(
    seen: dict[str, object], pixel: tuple[float, float], place: tuple[float, float]
) -> None:
    frames = frame(**seen)  # type: ignore[arg-type]
    pixels, places = torch.tensor([[pixel]]).float(), torch.tensor([[place]]).float()
    torch.testing.assert_close(to_frame(pixels, frames), places)
    # half a thousandth of a pixel: float32 at 140
    torch.testing.assert_close(from_frame(places, frames), pixels, atol=5e-4, rtol=0)


def test_a_turned_face_keeps_its_shape_in_pixels() -> None:
    points = torch.tensor([[[105.0, 52.0], [131.0, 68.0]]])
    sides = torch.tensor([40.0, 20.0])
    first, second = (to_frame(points, frame(33.0)) * sides)[0]
    assert (second - first).norm().item() == pytest.approx(math.hypot(26, 16), rel=1e-5)


def test_flip_twice_is_the_identity() -> None:
    points = torch.rand(3, 5, 2, generator=torch.Generator().manual_seed(0))
    flip = torch.tensor([True, False, True])
    torch.testing.assert_close(flip_names(flip_names(points, flip), flip), points, rtol=0, atol=0)
    mirrored = torch.stack([1 - points[..., 0], points[..., 1]], dim=-1)
    once, plain = frame(flip=True).expand(3, -1, -1), frame().expand(3, -1, -1)
    torch.testing.assert_close(from_frame(mirrored, once), from_frame(points, plain))


def test_flip_exchanges_left_and_right_names() -> None:
    points = torch.arange(10.0).view(1, 5, 2).repeat(2, 1, 1)
    left_eye, right_eye, nose, left_mouth, right_mouth = points[0].unbind()
    got = flip_names(points, torch.tensor([True, False]))
    wanted = torch.stack([right_eye, left_eye, nose, right_mouth, left_mouth])
    torch.testing.assert_close(got, torch.stack([wanted, points[1]]))
