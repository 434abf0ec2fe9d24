import os
import resource
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from facegeo.errors import UserError
from facegeo.files.writing import LOCK, TakenError, locked, whole_file, write_whole
from facegeo.landmarks.lists import LandmarkList, read_list
from facegeo.landmarks.pixels import build_or_open

Writer = Callable[..., Path]
# Opens the pixels of a list and prints their sum; with "hang" it stops at the fifth face.
CHILD = """
import logging, sys, time
from pathlib import Path
logging.basicConfig(level=logging.INFO, format="%(message)s")
from facegeo.landmarks import pixels as pixel_build
from facegeo.landmarks.lists import read_list
from facegeo.landmarks.pixels import build_or_open

root, cache, hang = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3] == "hang"
decode, calls = pixel_build.decode, []

def slow(data):
    calls.append(data)
    if len(calls) == 5:
        logging.info("half way")
        time.sleep(600)
    return decode(data)

if hang:
    pixel_build.decode = slow
store, _ = build_or_open(read_list(root, "list.txt"), cache, progress=False)
print(len(store), int(store.pixels.sum(dtype=__import__("torch").int64)))
"""


def start(root: Path, cache: Path, mode: str = "run") -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", CHILD, str(root), str(cache), mode],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def read_until(child: subprocess.Popen[str], text: str) -> str:
    """Log of the child up to the line that holds ``text``."""
    seen = ""
    assert child.stderr is not None
    for line in child.stderr:
        seen += line
        if text in line:
            return seen
    pytest.fail(f"the process ended without logging {text!r}: {seen}")


@pytest.fixture
def faces(face_folder: Writer) -> LandmarkList:
    return read_list(face_folder([f"{number}.png" for number in range(20)]), "list.txt")


def contents(cache: Path) -> list[str]:
    """Kinds of entries in the cache, without the lock."""
    return sorted(path.name.split("-")[0] for path in cache.iterdir() if path.name != ".lock")


def test_two_processes_build_once(faces: LandmarkList, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    with locked(cache / LOCK):  # holds both back until both have found no cache
        children = [start(faces.root, cache) for _ in range(2)]
        for child in children:
            read_until(child, f"waiting for process {os.getpid()} on")
    answers = [child.communicate(timeout=60) for child in children]
    assert [child.returncode for child in children] == [0, 0], answers
    assert sum(log.count("building the cache") for _, log in answers) == 1
    assert answers[0][0] == answers[1][0]
    assert answers[0][0].startswith("20 ")
    assert contents(cache) == ["pixels"]


def test_killed_build_leaves_nothing_that_looks_complete(
    faces: LandmarkList, tmp_path: Path
) -> None:
    cache = tmp_path / "cache"
    child = start(faces.root, cache, "hang")
    read_until(child, "half way")
    child.send_signal(signal.SIGKILL)
    child.communicate(timeout=60)
    assert contents(cache) == ["unfinished"]
    store, _ = build_or_open(faces, cache, progress=False)
    assert [store.image(row)[0, 0, 2].item() for row in range(20)] == list(range(20))
    assert contents(cache) == ["pixels"]


def test_interrupted_build_cleans_up(
    faces: LandmarkList, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        build_or_open(faces, tmp_path / "cache", progress=False)
    assert contents(tmp_path / "cache") == []


def truncate(folder: Path) -> None:
    with (folder / "pixels.i32").open("r+b") as file:
        file.truncate(100)


DAMAGE: dict[str, Callable[[Path], None]] = {
    "short-pixels": truncate,
    "no-pixels": lambda folder: (folder / "pixels.i32").unlink(),
    "no-index": lambda folder: (folder / "index.json").unlink(),
    "empty-index": lambda folder: (folder / "index.json").write_bytes(b"") and None,
    "torn-index": lambda folder: (folder / "index.json").write_bytes(b'{"bytes"') and None,
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE.keys())
def test_damaged_cache_is_rebuilt(
    faces: LandmarkList, tmp_path: Path, damage: Callable[[Path], None]
) -> None:
    cache = tmp_path / "cache"
    build_or_open(faces, cache, progress=False)
    (folder,) = cache.glob("pixels-*")
    damage(folder)
    store, _ = build_or_open(faces, cache, progress=False)
    assert [store.image(row)[0, 0, 2].item() for row in range(20)] == list(range(20))
    assert contents(cache) == ["pixels"]


def test_cache_folder_that_cannot_be_made(faces: LandmarkList, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    message = "file/cache cannot be written: Not a directory; .*data.cache_dir"
    with pytest.raises(UserError, match=message):
        build_or_open(faces, tmp_path / "file" / "cache", progress=False)


def test_too_little_space_is_seen_before_writing(
    faces: LandmarkList, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # 20 faces at four sizes, the largest x 0 .. 36 and y 2 .. 35; 4 bytes a pixel
    needed = 20 * 4 * (37 * 34 + 19 * 17 + 10 * 9 + 5 * 5)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=needed))
    build_or_open(faces, tmp_path / "cache", progress=False)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=needed - 1))
    with pytest.raises(UserError, match=r"MB of free disk space.*data.cache_dir"):
        build_or_open(faces, tmp_path / "other", progress=False)
    assert contents(tmp_path / "other") == []


@pytest.fixture
def small_files() -> Iterator[None]:
    """Writing more than 50 kB into a file fails, as on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.usefixtures("small_files")
def test_disk_that_fills_up_while_writing(faces: LandmarkList, tmp_path: Path) -> None:
    message = "cache cannot be written: File too large; .*data.cache_dir"
    with pytest.raises(UserError, match=message):
        build_or_open(faces, tmp_path / "cache", progress=False)
    assert contents(tmp_path / "cache") == []


def test_write_whole_replaces_or_leaves_a_file(tmp_path: Path) -> None:
    path = tmp_path / "new" / "a.json"
    write_whole(path, "old")
    write_whole(path, "new")
    assert path.read_text() == "new"
    with pytest.raises(FileNotFoundError), whole_file(path) as partial:
        partial.with_name("gone").read_text()
    assert path.read_text() == "new"
    assert list(path.parent.iterdir()) == [path]


def test_lock_names_its_holder_and_is_free_afterwards(tmp_path: Path) -> None:
    with (
        locked(tmp_path / "a" / LOCK),
        pytest.raises(TakenError, match=f"process {os.getpid()} on"),
        locked(tmp_path / "a" / LOCK),
    ):
        pass
    with locked(tmp_path / "a" / LOCK):
        pass
