"""The cache of decoded faces: exact pixels, its key, and every faulty image named."""

import pickle
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import pytest
import torch

from facegeo.errors import UserError
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


def test_select_and_to_apply_to_every_tensor(face_folder: Writer, tmp_path: Path) -> None:
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


JPEG, PNG = (bytes(cv2.imencode(suffix, NOISE)[1]) for suffix in (".jpg", ".png"))
HUGE = PNG[:16] + struct.pack(">II", 20000, 20000) + PNG[24:]  # 400 million pixels
HUGE = HUGE[:29] + struct.pack(">I", zlib.crc32(HUGE[12:29])) + HUGE[33:]
THUMBNAIL = b"\xff\xe1\x00\x0cExif\xff\xd8\xff\xd9\x00\x00"  # an end marker before the scan


@pytest.mark.parametrize(
    ("name", "data", "got"),
    [
        ("x.jpg", JPEG[:-9], "a file that is damaged or cut short"),
        ("x.jpg", JPEG[: len(JPEG) // 2], "a file that is damaged or cut short"),
        ("x.jpg", JPEG[:200], "a file that is damaged or cut short"),
        ("x.jpg", JPEG[:2] + THUMBNAIL + JPEG[2:-9], "a file that is damaged or cut short"),
        ("x.jpg", JPEG[:50] + bytes(100) + JPEG[150:], "a file that is damaged or cut short"),
        ("x.png", PNG[:-20], "a file that is damaged or cut short"),
        ("x.png", PNG[:200] + b"?" + PNG[201:], "a file that is damaged or cut short"),
        ("x.png", JPEG[:-9], "a file that is damaged or cut short"),
        ("x.jpg", b"<html>Not found</html>", "22 bytes that are not an image"),
        ("x.jpg", b"\xff\xd8\xff", "3 bytes that are not an image"),
        ("x.png", HUGE, "an image of too many pixels"),
    ],
    ids=[
        *("no-end", "half", "header-only", "thumbnail", "header", "png-half", "png-damaged"),
        *("wrong-suffix", "web-page", "three-bytes", "too-many-pixels"),
    ],
)
def test_damaged_image_is_named(
    face_folder: Writer, tmp_path: Path, name: str, data: bytes, got: str
) -> None:
    root = face_folder(["a.png", name])
    (root / name).write_bytes(data)
    faces = read_list(root, "list.txt")
    message = f"1 fault .*\n  list.txt line 2, {name}: wanted a readable image, got {got}"
    for _ in range(2):  # found while the cache is built, then read from it
        with pytest.raises(UserError, match=message):
            opened(faces, tmp_path)


def test_whole_jpegs_pass(face_folder: Writer, tmp_path: Path) -> None:
    root = face_folder(["a.jpg", "b.jpg", "c.jpg", "d.bmp"])
    (root / "a.jpg").write_bytes(JPEG[:2] + THUMBNAIL + JPEG[2:])
    (root / "b.jpg").write_bytes(JPEG + b"trailing bytes of a camera")
    progressive = cv2.imencode(".jpg", NOISE, [cv2.IMWRITE_JPEG_PROGRESSIVE, 1])[1]
    (root / "c.jpg").write_bytes(bytes(progressive))
    assert len(opened(read_list(root, "list.txt"), tmp_path)) == 4


def test_turned_photographs_are_read_as_stored(face_folder: Writer, tmp_path: Path) -> None:
    root = face_folder(["a.jpg"])
    tag = b"\x01\x12\x00\x03\x00\x00\x00\x01\x00\x06\x00\x00"  # orientation: turned by 90 degrees
    exif = b"Exif\0\0MM\x00\x2a\x00\x00\x00\x08\x00\x01" + tag + bytes(4)
    segment = b"\xff\xe1" + (len(exif) + 2).to_bytes(2, "big") + exif
    (root / "a.jpg").write_bytes(JPEG[:2] + segment + JPEG[2:])
    turned = cv2.imread(str(root / "a.jpg"))
    assert turned is not None
    assert turned.shape == (40, 36, 3)
    assert opened(read_list(root, "list.txt"), tmp_path).image_size.tolist() == [[36, 40]]


FAR_LINES = {  # the image is 40 wide and 36 high, so pixels end at 39 and 35
    "right": ("8 58 10 60 13 16 23 16 18 21 14 26 65 26", r"point 5 at most 0.5 .*\(65, 26\)"),
    "below": ("8 58 10 60 13 16 23 16 18 61 14 26 60 26", r"point 3 at most .*\(18, 61\)"),
    "left": ("-18 22 10 30 -21 16 23 16 18 21 14 26 22 26", r"point 1 at most .*\(-21, 16\)"),
    "above": ("8 28 -18 22 13 16 23 -21 18 21 14 26 22 26", r"point 2 at most .*\(23, -21\)"),
    "box": ("98 118 10 30 100 16 110 16 105 21 100 26 110 26", "a box with its centre in the"),
}


@pytest.mark.parametrize(("line", "wanted"), FAR_LINES.values(), ids=FAR_LINES.keys())
def test_face_outside_its_image_is_refused(
    face_folder: Writer, tmp_path: Path, line: str, wanted: str
) -> None:
    root = face_folder(["a.png", "b.png"])
    (root / "list.txt").write_text(f"a.png {FACE}\nb.png {line}\n")
    message = f"1 fault .*\n  list.txt line 2, b.png: wanted {wanted}"
    with pytest.raises(UserError, match=message):
        opened(read_list(root, "list.txt"), tmp_path)


@pytest.mark.parametrize(
    "line",
    ["8 58 10 60 13 16 23 16 18 60 14 26 64 26", "-18 22 -18 22 -20 16 13 -20 18 21 14 26 22 26"],
    ids=["right-below", "left-above"],
)
def test_points_a_little_outside_the_image_pass(
    face_folder: Writer, tmp_path: Path, line: str
) -> None:
    root = face_folder(["a.png"])
    (root / "list.txt").write_text(f"a.png {line}\n")
    assert len(opened(read_list(root, "list.txt"), tmp_path)) == 1


def test_image_that_changes_while_it_is_read_is_a_fault(
    face_folder: Writer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    faces = read_list(face_folder(["a.png", "b.png"]), "list.txt")
    read, seen = Path.read_bytes, list[Path]()

    def changing(path: Path) -> bytes:
        seen.append(path)
        return PNG if path.name == "b.png" and seen.count(path) > 1 else read(path)

    monkeypatch.setattr(Path, "read_bytes", changing)
    with pytest.raises(UserError, match=r"line 2, b.png: .*changed while it was read"):
        opened(faces, tmp_path)


def faulty_folder(face_folder: Writer) -> Path:
    """Faults of the list and of the images; lines 1 and 5 are sound."""
    root = face_folder(["a.png", "torn.jpg", "text.jpg", "e.png", "far.png"])
    (root / "torn.jpg").write_bytes(JPEG[:-9])
    (root / "text.jpg").write_text("text")
    names = ("a.png", "gone.png", "torn.jpg", "text.jpg", "e.png")
    lines = [f"{name} {FACE}" for name in names] + [f"far.png {FAR_LINES['right'][0]}"]
    (root / "list.txt").write_text("\n".join(lines))
    return root


def test_faults_of_list_and_images_come_in_one_error(face_folder: Writer, tmp_path: Path) -> None:
    faces = read_list(faulty_folder(face_folder), "list.txt", "skip")
    with pytest.raises(UserError, match="4 faults") as got:
        opened(faces, tmp_path)
    lines = str(got.value).split("\n")
    assert [line.split(":")[0] for line in lines[1:5]] == [
        "  list.txt line 2, gone.png",
        "  list.txt line 3, torn.jpg",
        "  list.txt line 4, text.jpg",
        "  list.txt line 6, far.png",
    ]
    assert "data.on_error=skip" in lines[5]


def test_skip_drops_faces_from_store_and_list_alike(face_folder: Writer, tmp_path: Path) -> None:
    faces = read_list(faulty_folder(face_folder), "list.txt", "skip")
    for _ in range(2):  # built, then opened
        store, left = build_or_open(faces, tmp_path / "cache", on_error="skip", progress=False)
        assert left.names == ("a.png", "e.png")
        assert [store.image(row)[0, 0].tolist() for row in range(2)] == [[200, 0, 0], [200, 0, 3]]
        assert sorted(fault.line for fault in left.skipped) == [2, 3, 4, 6]


@pytest.mark.parametrize("data", [b"", b"text"], ids=["unread", "undecoded"])
def test_skip_stops_if_no_image_is_left(face_folder: Writer, tmp_path: Path, data: bytes) -> None:
    root = face_folder(["a.jpg"])
    faces = read_list(root, "list.txt")
    (root / "a.jpg").write_bytes(data)
    with pytest.raises(UserError, match=r"list.txt line 1, a.jpg: wanted a readable image"):
        build_or_open(faces, tmp_path / "cache", on_error="skip", progress=False)
