"""Normal maps: frames by round trip and by physics, colours by hand, flips and turns."""

import math

import pytest
import torch
from torch import Tensor

from facegeo.geometry.normals import (
    FRAMES,
    decode,
    encode,
    flip,
    from_frame,
    normalise,
    rotate_vectors,
    scale_relief,
    to_frame,
)
from facegeo.rendering.folders import AXES
from facegeo.rendering.order import FRAMES as RENDERED

LIT_FROM_LEFT = (-1, 0, 0)
MIRROR = torch.tensor([-1.0, 1.0, 1.0])
NAMED = {"right": (1, 0, 0), "up": (0, 1, 0), "down": (0, -1, 0), "camera": (0, 0, 1)} | {
    "away": (0, 0, -1)
}


def sphere(size: int = 33) -> tuple[Tensor, Tensor]:
    """Normals (3, S, S) of a ball that fills the image, from its geometry alone, and its mask."""
    row, column = torch.meshgrid(torch.arange(size), torch.arange(size), indexing="ij")
    x, y = (column / (size - 1)) * 2 - 1, 1 - (row / (size - 1)) * 2
    inside = x**2 + y**2 < 0.95
    z = (1 - x**2 - y**2).clamp(min=0).sqrt()
    return torch.stack([x, y, z]) * inside, inside[None]


def pixel(*vector: float) -> Tensor:
    return torch.tensor(vector, dtype=torch.float32).reshape(3, 1, 1)


@pytest.mark.parametrize("frame", FRAMES)
def test_there_and_back_changes_no_bit(frame: str) -> None:
    normals = torch.randn(2, 4, 3, 5, 7)
    assert torch.equal(from_frame(to_frame(normals, frame), frame), normals)
    assert torch.equal(to_frame(from_frame(normals, frame), frame), normals)


@pytest.mark.parametrize("frame", FRAMES)
def test_each_channel_points_where_the_frame_says(frame: str) -> None:
    for channel, direction in enumerate(frame.split("_")):
        stored = torch.zeros(3, 1, 1)
        stored[channel] = 1
        torch.testing.assert_close(from_frame(stored, frame), pixel(*NAMED[direction]))


@pytest.mark.parametrize("frame", FRAMES)
def test_a_sphere_lit_from_image_left_is_bright_on_the_left(frame: str) -> None:
    truth, mask = sphere()
    # What a file in this frame holds, written down from the frame's name.
    directions = torch.tensor([NAMED[name] for name in frame.split("_")]).float()
    stored = torch.einsum("cd,dhw->chw", directions, truth)
    normals = decode(encode(from_frame(stored, frame)))
    shading = (normals * pixel(*LIT_FROM_LEFT)).sum(0).clamp(min=0) * mask[0]
    left, right = shading[:, :16], shading[:, 17:]
    assert left[mask[0, :, :16]].mean() > 0.4
    assert right.max() < 0.01
    assert (shading[16, 2:16].diff() < 0).all()  # darker and darker towards the middle


def test_the_renderer_stores_frames_as_these_converters_read_them() -> None:
    assert set(AXES) == set(RENDERED) <= set(FRAMES)
    assert {name: FRAMES[name] for name in AXES} == AXES


def test_colours_by_hand() -> None:
    half = math.sqrt(0.5)
    colours = encode(torch.cat([pixel(0, 0, 1), pixel(-half, half, 0), pixel(1, 0, 0)], dim=2))
    assert colours.dtype == torch.uint8
    wanted = [[128, 128, 255], [37, 218, 128], [255, 128, 128]]
    assert colours[:, 0].T.tolist() == wanted


def test_no_face_is_white_and_lengths_above_one_do_not_wrap() -> None:
    colours = encode(
        pixel(1.2, -3.0, 0.0).expand(2, 3, 1, 2), torch.tensor([[[[True, False]]]] * 2)
    )
    assert colours[1, :, 0, 0].tolist() == [255, 0, 128]
    assert colours[1, :, 0, 1].tolist() == [255, 255, 255]


def test_every_colour_comes_back() -> None:
    colours = torch.arange(256, dtype=torch.uint8).expand(3, 1, 256)
    got = decode(colours)
    assert (got[0, 0, 0].item(), got[0, 0, -1].item()) == (-1, 1)
    assert torch.equal(encode(got), colours)


def test_unit_length_except_for_zero_vectors() -> None:
    got = normalise(torch.cat([pixel(0, 3, 4), pixel(0, 0, 0), pixel(0, 0, 1e-5)], dim=2))
    torch.testing.assert_close(got[:, 0, 0], torch.tensor([0, 0.6, 0.8]))
    assert got[:, 0, 1].tolist() == [0, 0, 0]
    torch.testing.assert_close(got[2, 0, 2], torch.tensor(0.1))


def test_a_zero_vector_has_a_finite_gradient_also_in_halves() -> None:
    for dtype in (torch.float32, torch.float16, torch.bfloat16):
        normals = torch.zeros(3, 1, 1, dtype=dtype, requires_grad=True)
        unit = normalise(normals)
        unit.sum().backward()
        assert unit.dtype == torch.float32
        assert normals.grad is not None
        assert normals.grad.isfinite().all()


def test_flip_twice_is_nothing_and_once_is_the_mirrored_ball() -> None:
    normals, _ = sphere()
    torch.testing.assert_close(flip(normals), normals)  # a ball is its own mirror image
    lopsided = torch.randn(2, 3, 4, 5)
    assert torch.equal(flip(flip(lopsided)), lopsided)
    torch.testing.assert_close(flip(lopsided)[1, :, 2, 0], lopsided[1, :, 2, 4] * MIRROR)


def test_turning_counter_clockwise_takes_right_to_up_and_up_to_left() -> None:
    quarter = math.pi / 2
    torch.testing.assert_close(rotate_vectors(pixel(1, 0, 0), quarter), pixel(0, 1, 0))
    torch.testing.assert_close(rotate_vectors(pixel(0, 1, 0), quarter), pixel(-1, 0, 0))
    torch.testing.assert_close(rotate_vectors(pixel(0, 0, 1), quarter), pixel(0, 0, 1))


def test_a_turned_ball_is_the_same_ball() -> None:
    normals, _ = sphere()
    turned = torch.rot90(rotate_vectors(normals, math.pi / 2), 1, (1, 2))  # counter-clockwise
    torch.testing.assert_close(turned, normals)


def test_each_map_of_a_batch_turns_by_its_own_angle() -> None:
    maps = pixel(1, 0, 0).expand(2, 3, 1, 1)
    got = rotate_vectors(maps, torch.tensor([0.0, math.pi]))
    torch.testing.assert_close(got, torch.stack([pixel(1, 0, 0), pixel(-1, 0, 0)]))


@pytest.mark.parametrize("convert", [to_frame, from_frame])
def test_an_unknown_frame_is_refused(convert: object) -> None:
    with pytest.raises(ValueError, match=r"frame must be one of right_up_camera, .*; got 'opengl'"):
        convert(pixel(0, 0, 1), "opengl")  # type: ignore[operator]


def test_shapes_that_do_not_belong_are_refused() -> None:
    with pytest.raises(ValueError, match=r"normals must have shape .*, got \(1, 1, 3\)"):
        encode(torch.zeros(1, 1, 3))
    with pytest.raises(ValueError, match=r"mask must have shape \(1, 1, 1\), got \(1, 1\)"):
        encode(pixel(0, 0, 1), torch.ones(1, 1, dtype=torch.bool))
    with pytest.raises(ValueError, match=r"colours must be uint8 in 0..255, got torch.float32"):
        decode(pixel(0, 0, 1))
    with pytest.raises(ValueError, match=r"angle must have shape \(2,\), got \(3,\)"):
        rotate_vectors(torch.zeros(2, 3, 1, 1), torch.zeros(3))


def test_relief_multiplies_slopes() -> None:
    rows, columns = torch.meshgrid(torch.arange(6.0), torch.arange(5.0), indexing="ij")
    depth = 0.1 * columns**2 - 0.05 * rows * columns

    def normals_of(depth: Tensor) -> Tensor:
        down, right = torch.gradient(depth)
        return normalise(torch.stack([-right, down, torch.ones_like(depth)]))

    torch.testing.assert_close(scale_relief(normals_of(depth), 1.4), normals_of(1.4 * depth))
    assert torch.equal(scale_relief(torch.zeros(2, 3, 4, 4), 2), torch.zeros(2, 3, 4, 4))
    with pytest.raises(ValueError, match="factor must be above 0, got 0"):
        scale_relief(normals_of(depth), 0)
