import pickle
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import pytest
import torch

from facegeo.landmarks.lists import LandmarkList, read_list
from facegeo.landmarks.pixels import PixelStore, build_or_open

Writer = Callable[..., Path]
FACE = "8 28 10 30 13 16 23 16 18 21 14 26 22 26"
NOISE = np.random.default_rng(0).integers(0, 256, (36, 40, 3), dtype=np.uint8)


def encoded(image: npt.NDArray[np.uint8], suffix: str = ".png") -> bytes:
    """File of an RGB image."""
    return bytes(cv2.imencode(suffix, image[..., ::-1])[1])


def one_face(tmp_path: Path, image: npt.NDArray[np.uint8], box: str) -> LandmarkList:
    """A list of one PNG; the points lie in the middle of the box."""
    root = tmp_path / "one"
    root.mkdir()
    (root / "a.png").write_bytes(encoded(image))
    left, right, top, bottom = (float(edge) for edge in box.split())
    middle = f" {(left + right) / 2} {(top + bottom) / 2}"
    (root / "list.txt").write_text(f"a.png {box}{5 * middle}\n")
    return read_list(root, "list.txt")


def opened(faces: LandmarkList, tmp_path: Path) -> PixelStore:
    return build_or_open(faces, tmp_path / "cache", progress=False)[0]


@pytest.mark.parametrize(
    ("box", "region"),
    [
        ("10 20 12 22", (6, 25, 8, 27)),  # the box and 0.4 sides, 4 px, all round
        ("10.5 19.5 12 22", (6, 25, 8, 27)),  # 6.9 .. 23.1 and 8 .. 26
        ("4 30 2 33", (0, 40, 0, 36)),
    ],
    ids=["margin", "outwards", "clipped"],
)
def test_region_is_a_lossless_cut(
    tmp_path: Path, box: str, region: tuple[int, int, int, int]
) -> None:
    store = opened(one_face(tmp_path, NOISE, box), tmp_path)
    x0, x1, y0, y1 = region
    np.testing.assert_array_equal(store.image(0).numpy(), NOISE[y0:y1, x0:x1])
    assert store.origin.tolist() == [[x0, y0]]
    assert store.image_size.tolist() == [[36, 40]]


def test_other_processes_open_the_pixels_anew(tmp_path: Path) -> None:
    store = opened(one_face(tmp_path, NOISE, "8 28 10 30"), tmp_path)
    state = store.__getstate__()
    assert not any(value is store.pixels for value in state.values())
    other = pickle.loads(pickle.dumps(store))
    assert torch.equal(other.pixels, store.pixels)
    assert torch.equal(other.offset, store.offset)
    assert other.digest == store.digest


def test_pixels_are_packed_with_red_lowest(tmp_path: Path) -> None:
    image = np.full((36, 40, 3), (0x11, 0x22, 0x33), np.uint8)
    store = opened(one_face(tmp_path, image, "8 28 10 30"), tmp_path)
    assert store.pixels.dtype == torch.int32
    assert (store.pixels == 0xFF332211 - 2**32).all()


def test_levels_are_means_of_two_by_two(tmp_path: Path) -> None:
    store = opened(one_face(tmp_path, NOISE, "10 20 12 22"), tmp_path)
    assert store.size[0].tolist() == [[19, 19], [10, 10], [5, 5], [3, 3]]
    for level in range(3):
        fine = store.image(0, level).numpy().astype(int)
        fine = np.pad(fine, ((0, fine.shape[0] % 2), (0, fine.shape[1] % 2), (0, 0)), mode="edge")
        total = fine[::2, ::2] + fine[1::2, ::2] + fine[::2, 1::2] + fine[1::2, 1::2]
        np.testing.assert_array_equal(store.image(0, level + 1).numpy(), (total + 2) // 4)


def test_level_pixels_are_at_the_stores_offsets(tmp_path: Path) -> None:
    rows, columns = np.mgrid[:36, :40]
    ramps = np.stack([4 * columns, 4 * rows, 0 * rows], axis=-1).astype(np.uint8)
    # region 8 .. 31 x 4 .. 27, 24 pixels each: no level has an odd edge
    store = opened(one_face(tmp_path, ramps, "13.5 25.5 9.5 21.5"), tmp_path)
    assert store.origin.tolist() == [[8, 4]]
    for level in range(4):
        got = store.image(0, level).numpy().astype(float) / 4
        centre = (np.arange(24 >> level) + 0.5) * 2**level - 0.5
        # rounding: half a grey value of 4 a pixel at each halving
        np.testing.assert_allclose(got[..., 0], np.tile(centre + 8, (len(centre), 1)), atol=0.4)
        np.testing.assert_allclose(got[..., 1].T, np.tile(centre + 4, (len(centre), 1)), atol=0.4)


def test_rows_stay_in_the_order_of_the_list(face_folder: Writer, tmp_path: Path) -> None:
    names = [f"{number}.png" for number in range(300)]  # more than are decoded at a time
    store = opened(read_list(face_folder(names), "list.txt"), tmp_path)
    colours = [store.image(row)[0, 0].tolist() for row in range(300)]
    assert colours == [[200, number // 256, number % 256] for number in range(300)]


def test_select_and_to_move_all_parts(face_folder: Writer, tmp_path: Path) -> None:
    root = face_folder(["a.png", "b.png", "c.png"])
    boxes = [f"{left} 28 10 30" for left in (20, 15, 18)]  # less 0.4 of 8, 13, 10 px
    lines = [f"{n}.png {box} {5 * '22 20 '}" for n, box in zip("abc", boxes, strict=True)]
    (root / "list.txt").write_text("\n".join(lines))
    store = opened(read_list(root, "list.txt"), tmp_path)
    part = store.select([2, 0])
    assert part.origin.tolist() == [[14, 2], [16, 2]]
    assert part.image(0)[0, 0].tolist() == [200, 0, 2]
    assert part.image(1, 3)[0, 0].tolist() == [200, 0, 0]
    assert part.digest == [store.digest[2], store.digest[0]]
    moved = part.to("meta")
    tensors = (moved.pixels, moved.offset, moved.size, moved.origin, moved.image_size)
    assert {tensor.device.type for tensor in tensors} == {"meta"}
    assert (len(moved), moved.levels) == (2, 4)


def test_writing_into_the_store_does_not_change_the_cache(
    face_folder: Writer, tmp_path: Path
) -> None:
    faces = read_list(face_folder(["a.png"]), "list.txt")
    opened(faces, tmp_path).pixels.zero_()
    assert opened(faces, tmp_path).image(0)[0, 0].tolist() == [200, 0, 0]


def test_cache_is_keyed_by_content(face_folder: Writer, tmp_path: Path) -> None:
    root = face_folder(["a.png", "b.png"])
    faces = read_list(root, "list.txt")

    def folders() -> int:
        return len(list((tmp_path / "cache").glob("pixels-*")))

    first = opened(faces, tmp_path)
    (root / "b.png").rename(root / "c.png")  # a name is no content
    (root / "list.txt").write_text(f"a.png {FACE}\nc.png {FACE}\n")
    faces = read_list(root, "list.txt")
    assert opened(faces, tmp_path).digest == first.digest
    assert folders() == 1
    opened(faces.select([1, 0]), tmp_path)
    assert folders() == 2
    (root / "c.png").write_bytes(encoded(NOISE))
    assert opened(faces, tmp_path).image(1).unique().numel() > 100
    (root / "list.txt").write_text(f"a.png {FACE}\nc.png {FACE.replace('8', '7', 1)}\n")
    opened(read_list(root, "list.txt"), tmp_path)
    assert folders() == 4
