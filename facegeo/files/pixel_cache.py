"""Pixel cache: folders of memory-mapped numbers beside an index.

Decoding images costs more than a training step of a small net; from the cache an epoch only reads
bytes. A wing names the folder by a hash of the files' bytes and its settings, writes the numbers
and says how they are laid out.
"""

import hashlib
import json
import math
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor

from facegeo.files.images import in_threads
from facegeo.files.lists import WantedError
from facegeo.files.writing import build_once

INDEX = "index.json"
Loaded = TypeVar("Loaded")


def open_cache(
    cache_dir: Path, name: str, write: Callable[[Path], Mapping[str, Any]], size_bytes: int
) -> tuple[Path, dict[str, Any]]:
    """Return a folder of the cache and its index; write it first if it is missing or damaged.

    Args:
        cache_dir: Folder of the cache, created if missing.
        name: Of the wanted folder, different for different content.
        write: Writes files of numbers into the empty folder that it is given; returns the index,
            values of JSON. The index keeps "bytes", the size of each file, as well.
        size_bytes: Size of the files.

    Raises:
        UserError: If the cache folder cannot be written or is too small.
    """

    def build(folder: Path) -> None:
        index = dict(write(folder))
        index["bytes"] = {path.name: _synced(path) for path in sorted(folder.iterdir())}
        (folder / INDEX).write_text(json.dumps(index), encoding="utf-8")
        _synced(folder / INDEX)

    folder = build_once(cache_dir, name, build, _is_complete, size_bytes)
    return folder, _index(folder)


def _synced(path: Path) -> int:
    """Wait until a file is on the disk; return its size in bytes."""
    with path.open("rb+") as file:
        os.fsync(file.fileno())
    return path.stat().st_size


def _index(folder: Path) -> dict[str, Any]:
    return dict(json.loads((folder / INDEX).read_text(encoding="utf-8")))


def _is_complete(folder: Path) -> bool:
    """Whether a folder holds a readable index and files of the sizes that it names."""
    try:
        sizes = _index(folder)["bytes"]
        return all((folder / name).stat().st_size == size for name, size in sizes.items())
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return False


def read_file(path: Path, digest: str | None = None) -> bytes:
    """Bytes of a file.

    Args:
        path: The file.
        digest: SHA-256 that it had when the cache was named; None takes any.

    Raises:
        WantedError: If it cannot be read, or has changed.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise WantedError("a readable file", error.strerror or str(error)) from error
    if digest is not None and digest != hashlib.sha256(data).hexdigest():
        raise WantedError("a readable file", "a file that changed while it was read")
    return data


def load_all(
    load: Callable[[int], Loaded], count: int, title: str, progress: bool
) -> Iterator[Loaded | WantedError]:
    """Load items 0 to ``count`` - 1 in threads; yield each in order, or why it cannot be used."""

    def load_or_error(number: int) -> Loaded | WantedError:
        try:
            return load(number)
        except WantedError as error:
            return error

    return in_threads(load_or_error, list(range(count)), title, progress)


def mapped(path: Path, dtype: torch.dtype, *shape: int) -> Tensor:
    """Map a file of numbers; changes of the tensor are not written to it."""
    count = math.prod(shape)
    return torch.from_file(str(path), shared=False, size=count, dtype=dtype).view(shape)


class MappedTensors:
    """A dataclass some of whose tensors map files: other processes open these, get no pixels.

    Attributes:
        files: By name of the attribute, the file that it maps.
    """

    files: Mapping[str, Path]

    def __getstate__(self) -> dict[str, Any]:
        shapes = {name: (vars(self)[name].dtype, *vars(self)[name].shape) for name in self.files}
        return vars(self) | shapes

    def __setstate__(self, state: dict[str, Any]) -> None:
        tensors = {name: mapped(path, *state[name]) for name, path in state["files"].items()}
        vars(self).update(state | tensors)
