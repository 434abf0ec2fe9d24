"""The cache of decoded faces: shared maps once, exact bytes, faults at every opening."""

import pickle
import shutil
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from facegeo.files.lists import Fault
from facegeo.normals.lists import NormalRecord, read_normal_lists
from facegeo.normals.store import NormalStore, open_store

FIXTURE = Path(__file__).parents[1] / "fixtures" / "sessions"
SIZE = 32


@dataclass
class Opened:
    store: NormalStore | None
    records: list[NormalRecord]
    faults: list[Fault]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return Path(shutil.copytree(FIXTURE, tmp_path / "faces"))


def opened(root: Path, on_error: str = "raise", size: int = SIZE) -> Opened:
    records, faults = read_normal_lists(root, ["train.csv"])
    assert not faults
    cache = root.parent / "cache"
    found = open_store(root, records, cache, size=size, on_error=on_error, progress=False)
    return Opened(*found)


def store_of(root: Path, size: int = SIZE) -> NormalStore:
    store = opened(root, size=size).store
    assert store is not None
    return store


def pixels(path: Path) -> np.ndarray:
    return cv2.imread(str(path), cv2.IMREAD_COLOR)[..., ::-1]


def test_bytes_are_those_of_the_files_and_a_session_keeps_its_map_once(root: Path) -> None:
    store = store_of(root)
    assert len(store) == 24
    assert store.normals.shape == (6, SIZE, SIZE, 3)
    assert store.masks.shape == (6, SIZE, SIZE)
    image, normal, mask = store.take(torch.tensor([9, 2]))
    folder = root / "100001/session1"  # photographs 8 to 11
    face = pixels(folder / "mask_c.png")[..., 0] > 127
    np.testing.assert_array_equal(image[0], pixels(folder / "im1_c.png"))
    np.testing.assert_array_equal(mask[0], face)
    np.testing.assert_array_equal(normal[0][face], pixels(folder / "sn_c.png")[face])
    np.testing.assert_array_equal(image[1], pixels(root / "100000/session1/im2_c.png"))


def test_opening_again_decodes_nothing(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = store_of(root)

    def refuse(*_: object) -> None:
        raise AssertionError("decoded again")

    monkeypatch.setattr("facegeo.normals.store.read_face", refuse)
    again = store_of(root)
    assert torch.equal(again.images, first.images)
    assert torch.equal(again.map_of, first.map_of)


def test_another_process_maps_the_files_itself(root: Path) -> None:
    store = store_of(root).select(np.array([7, 3]))
    handed = pickle.dumps(store)
    assert len(handed) < 4000  # two images alone have 6,144 bytes
    rows = torch.tensor([1, 0])
    for got, wanted in zip(pickle.loads(handed).take(rows), store.take(rows), strict=True):
        assert torch.equal(got, wanted)


def test_other_content_or_size_has_a_cache_of_its_own(root: Path) -> None:
    before = store_of(root)
    assert store_of(root, size=16).images.shape == (24, 16, 16, 3)
    path = root / "100000/session1/im0_c.png"
    path.write_bytes((path.parent / "im3_c.png").read_bytes())
    after = store_of(root)
    assert len(list((root.parent / "cache").glob("normals-*"))) == 3
    assert not torch.equal(after.images[0], before.images[0])
    assert torch.equal(after.images[1:], before.images[1:])


def test_vectors_of_numpy_files_are_kept_as_halves(root: Path) -> None:
    session = root / "100001/session1"
    colours = pixels(session / "sn_c.png")
    vectors = (colours / 127.5 - 1).astype(np.float64)
    vectors /= np.linalg.norm(vectors, axis=2, keepdims=True).clip(1e-6)
    np.save(session / "n.npy", vectors)
    text = "face,normal\n100001/session1/im0_c.png,100001/session1/n.npy\n"
    (root / "train.csv").write_text(f"{text}100000/session1/im0_c.png,\n")
    store = store_of(root)
    assert store.normals.dtype == torch.float16
    face = store.masks[0] > 0
    difference = (store.normals[0].double().numpy() - vectors)[face.numpy()]
    assert np.abs(difference).max() < 2**-11
    _, normals, _ = store.take(torch.tensor([1]))
    assert torch.equal(normals[0], store.normals[1])


def spoil(root: Path) -> None:
    """Three faulty files: one face, one map and one mask of two sessions."""
    torn = root / "100000/session1/im1_c.png"
    torn.write_bytes(torn.read_bytes()[:-20])
    grey = pixels(root / "100001/session2/sn_c.png")[..., 0]
    cv2.imwrite(str(root / "100001/session2/sn_c.png"), grey)
    cv2.imwrite(str(root / "100002/session1/mask_c.png"), np.zeros((SIZE, SIZE), np.uint8))
    cv2.imwrite(str(root / "100002/session2/im0_c.png"), np.zeros((20, 20, 3), np.uint8))


FAULTS = [
    "train.csv line 14, 100001/session2/sn_c.png: wanted a normal map of 3 channels of 8 bits, "
    "got 1 of 8 bits",
    "train.csv line 18, 100002/session1/mask_c.png: wanted a mask with pixels above 127, "
    "got none above 0",
    "train.csv line 3, 100000/session1/im1_c.png: wanted a readable image, "
    "got a file that is damaged or cut short",
    "train.csv line 22, 100002/session2/im0_c.png: wanted an image of the size of its normal "
    "map, 32 x 32, got 20 x 20",
]


def test_each_faulty_file_is_reported_once_and_leaves_no_cache(root: Path) -> None:
    spoil(root)
    for _ in range(2):
        found = opened(root)
        assert found.store is None
        assert [str(fault) for fault in found.faults] == FAULTS
    assert not list((root.parent / "cache").glob("*normals-*"))


def test_skipping_leaves_out_all_faces_of_a_faulty_map(root: Path) -> None:
    sound = store_of(root)
    spoil(root)
    for on_error in ("skip", "skip", "raise"):  # the last finds the cache that skipping left
        found = opened(root, on_error)
        assert found.store is not None
        assert [str(fault) for fault in found.faults] == FAULTS
        left = [record.line for record in found.records]
        assert left == [2, 4, 5, *range(6, 14), 23, 24, 25]
        rows = torch.arange(len(left))
        same = sound.take(torch.tensor(left) - 2)
        for got, wanted in zip(found.store.take(rows), same, strict=True):
            assert torch.equal(got, wanted)


def test_an_unreadable_file_is_a_fault(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = Path.read_bytes

    def read(path: Path) -> bytes:
        if path.name == "im2_c.png" and path.parent.parent.name == "100002":
            raise OSError(5, "Input/output error")
        return real(path)

    monkeypatch.setattr(Path, "read_bytes", read)
    faults = [str(fault) for fault in opened(root).faults]
    assert faults == [
        f"train.csv line {line}, 100002/{session}/im2_c.png: wanted a readable file, "
        "got Input/output error"
        for line, session in ((20, "session1"), (24, "session2"))
    ]
