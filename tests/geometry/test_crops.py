from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pytest
import torch
from torch import Tensor

from facegeo.geometry.crops import FaceCrops

Image = npt.NDArray[np.uint8]


@dataclass
class Store:
    pixels: Tensor
    offset: Tensor
    size: Tensor
    origin: Tensor


def store_of(images: list[Image], origins: list[tuple[int, int]], levels: int = 4) -> Store:
    """Pack square images whose side is divisible by 2 ** (levels - 1); means are rounded."""
    packed: list[npt.NDArray[np.int32]] = []
    offsets: list[list[int]] = []
    sizes: list[list[tuple[int, ...]]] = []
    for image in images:
        level = image.astype(int)
        offsets.append([])
        sizes.append([])
        for _ in range(levels):
            offsets[-1].append(sum(map(len, packed)))
            sizes[-1].append(level.shape[:2])
            red, green, blue = np.moveaxis(level, 2, 0)
            packed.append((red + 256 * green + 65536 * blue).astype(np.int32).ravel())
            pairs = level[::2] + level[1::2]
            level = (pairs[:, ::2] + pairs[:, 1::2] + 2) // 4
    return Store(
        pixels=torch.from_numpy(np.concatenate(packed)),
        offset=torch.tensor(offsets),
        size=torch.tensor(sizes),
        origin=torch.tensor(origins),
    )


def crops_of(
    images: list[Image], box: tuple[float, float, float, float] = (0, 1, 0, 1), **kwargs: int
) -> FaceCrops:
    """Crops of images that lie at (0, 0), all with one box left, right, top, bottom."""
    left, right, top, bottom = box
    frame = torch.tensor([[right - left, 0, left], [0, bottom - top, top]]).float()
    store = store_of(images, [(0, 0)] * len(images), **kwargs)
    return FaceCrops(store, torch.arange(len(images)), frame.expand(len(images), -1, -1))


def ramp(side: int = 64) -> Image:
    """Red is 3 times the column, green 3 times the row, blue 7."""
    rows, columns = np.mgrid[:side, :side]
    return np.stack([3 * columns, 3 * rows, np.full_like(rows, 7)], axis=-1).astype(np.uint8)


def window(cx: float, cy: float, hx: float, hy: float) -> Tensor:
    return torch.tensor([[[cx, cy, hx, hy]]])


def test_a_ramp_is_sampled_where_the_grid_says() -> None:
    # Box of 40 x 20 px at (10, 30); window x 18 .. 42, y 35 .. 47 px; samples 1.5 and .75 px apart.
    got = crops_of([ramp()], (10, 50, 30, 50))(window(0.5, 0.55, 0.3, 0.3), 16)[0, 0] * 255
    ticks = np.arange(16) + 0.5
    wanted = torch.from_numpy(np.broadcast_to(3 * (18 + 1.5 * ticks), (16, 16)).copy()).float()
    torch.testing.assert_close(got[0], wanted, atol=1e-3, rtol=0)
    wanted = torch.from_numpy(np.broadcast_to(3 * (35 + 0.75 * ticks)[:, None], (16, 16)).copy())
    torch.testing.assert_close(got[1], wanted.float(), atol=1e-3, rtol=0)
    torch.testing.assert_close(got[2], torch.full((16, 16), 7.0))


@pytest.mark.parametrize("side_px", [8, 16, 32, 64], ids=["1:1", "2:1", "4:1", "8:1"])
def test_coarser_levels_are_aligned_with_the_finest(side_px: int) -> None:
    # 8 samples over side_px pixels about the middle of the image: each level in turn
    box = (31.5 - side_px / 2, 31.5 + side_px / 2) * 2
    got = crops_of([ramp()], box)(window(0.5, 0.5, 0.5, 0.5), 8)[0, 0, :2] * 255
    wanted = (3 * (box[0] + (torch.arange(8) + 0.5) * side_px / 8)).expand(8, 8)
    # the first halving of a ramp of 3 rounds by half a grey value, the others are exact
    torch.testing.assert_close(got[0], wanted, atol=0.51, rtol=0)
    torch.testing.assert_close(got[1].T, wanted, atol=0.51, rtol=0)


def test_a_constant_image_stays_constant() -> None:
    image = np.full((64, 64, 3), (10, 130, 250), np.uint8)
    crop = crops_of([image], (20, 40, 20, 40))
    windows = torch.tensor([[[0.5, 0.5, s, s] for s in (0.05, 0.5, 1.0, 4.0)]])
    wanted = torch.tensor([10, 130, 250])[:, None, None].expand(1, 4, 3, 9, 9) / 255
    torch.testing.assert_close(crop(windows, 9), wanted)


def test_a_fine_checkerboard_comes_out_grey() -> None:
    rows, columns = np.mgrid[:64, :64]
    board = np.repeat(((rows + columns) % 2 * 255).astype(np.uint8)[..., None], 3, axis=2)
    whole = crops_of([board], (0, 64, 0, 64))(window(0.5, 0.5, 0.5, 0.5), 16)
    assert (whole - 0.5).abs().max() < 0.01  # every fourth pixel of the board itself is black
    near = crops_of([board], (-0.5, 63.5, -0.5, 63.5))(
        window(0.5, 0.5, 0.125, 0.125), 16
    )  # 1 px a sample: the board itself
    assert near.std() > 0.45


def test_outside_the_stored_pixels_the_border_is_repeated() -> None:
    crop = crops_of([ramp()], (0, 64, 0, 64))
    left = crop(window(-0.5, 0.5, 0.125, 0.125), 16)[0, 0] * 255  # x from -40 to -24 px
    assert left[0].abs().max() == 0
    corner = crop(window(1.5, 1.5, 0.125, 0.125), 16)[0, 0] * 255
    torch.testing.assert_close(corner[:2], torch.full((2, 16, 16), 189.0))


def test_pixels_are_at_the_positions_of_their_origin() -> None:
    store = store_of([ramp()], [(100, 200)])
    frames = torch.tensor([[[1.0, 0, 100], [0, 1.0, 200]]])
    got = FaceCrops(store, torch.tensor([0]), frames)(window(21, 42, 0.5, 0.5), 1)[0, 0]
    torch.testing.assert_close(got[:, 0, 0] * 255, torch.tensor([63.0, 126.0, 7.0]))


def test_a_turned_frame_turns_the_crop() -> None:
    # Seen x runs along image y, seen y against image x.
    frames = torch.tensor([[[0, -1.0, 32], [1.0, 0, 32]]])
    got = FaceCrops(store_of([ramp()], [(0, 0)]), torch.tensor([0]), frames)(window(0, 0, 4, 4), 8)[
        0, 0
    ]
    ticks = torch.arange(8) - 3.5
    torch.testing.assert_close(got[1] * 255, (3 * (32 + ticks)).expand(8, 8))
    torch.testing.assert_close(got[0].T * 255, (3 * (32 - ticks)).expand(8, 8))


def test_each_face_and_window_gets_its_own_pixels() -> None:
    images = [np.full((8, 8, 3), value, np.uint8) for value in (10, 20, 30)]
    store = store_of([*images, ramp(16)], [(0, 0)] * 4)
    faces = torch.tensor([2, 0, 3])
    frames = torch.eye(3)[:2].mul(8).expand(3, -1, -1)
    windows = torch.tensor([[0.5, 0.5, 0.5, 0.5], [0.5, 0.5, 0.0625, 0.0625]])
    got = FaceCrops(store, faces, frames)(windows.expand(3, -1, -1), 4) * 255
    assert got.shape == (3, 2, 3, 4, 4)
    torch.testing.assert_close(got[0], torch.full((2, 3, 4, 4), 30.0))
    torch.testing.assert_close(got[1], torch.full((2, 3, 4, 4), 10.0))
    torch.testing.assert_close(got[2, 1, 0, 0], 3 * (4 + (torch.arange(4) - 1.5) / 4))


def test_colours_are_those_of_the_four_neighbours() -> None:
    """At borders too: what lies behind a row's or a face's last pixel does not shine through."""
    rng = np.random.default_rng(0)
    images: list[Image] = [rng.integers(0, 256, (8, 8, 3), dtype=np.uint8) for _ in range(2)]
    crops = crops_of(images, (0, 8, 0, 8), levels=1)
    found = crops(window(0.8, 0.7, 0.5, 0.5).expand(2, -1, -1), 16)
    places = (np.arange(16) + 0.5) / 16 * 8
    x, y = (np.clip(places + 8 * low, 0, 7) for low in (0.3, 0.2))
    left, top = x.astype(int), y.astype(int)
    right, below = np.minimum(left + 1, 7), np.minimum(top + 1, 7)
    along, down = (x - left)[None, :, None], (y - top)[:, None, None]
    for image, crop in zip(images, found, strict=True):
        pixels = image / 255
        upper = pixels[top][:, left] * (1 - along) + pixels[top][:, right] * along
        lower = pixels[below][:, left] * (1 - along) + pixels[below][:, right] * along
        want = (upper * (1 - down) + lower * down).transpose(2, 0, 1)
        np.testing.assert_allclose(crop[0].numpy(), want, atol=1e-5)
