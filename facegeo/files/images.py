"""Image files: size, integrity and pixels through Pillow; work in threads."""

from __future__ import annotations

import io
import os
import struct
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeVar

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps, UnidentifiedImageError

from facegeo.files.progress import track

Bytes = npt.NDArray[np.uint8]
CHUNK = 256  # images decoded ahead of the writer: bounds the memory
_In = TypeVar("_In")
_Out = TypeVar("_Out")


PHOTOS = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff")
"""Endings of photos' names, in lower case."""


class ImageError(ValueError):
    """An image file that cannot be used; the message says what the file is instead."""


def decode(data: bytes, *, turned: bool = False) -> Bytes:
    """Decode an image file, which must be whole.

    Grey becomes three equal channels, transparency is dropped, 16 bits become 8.

    Args:
        data: Bytes of the file, in any format that Pillow reads.
        turned: Turn it as its EXIF orientation says, as viewers do; by default the tag is ignored,
            since points of a list belong to the pixels as stored.

    Returns:
        Red, green, blue, shape (H, W, 3).

    Raises:
        ImageError: If the file is empty, not an image, cut short, damaged, or of more pixels than
            Pillow takes for a decompression bomb (179 million).
    """
    with _opened(data) as image:
        image.load()
        if turned:
            ImageOps.exif_transpose(image, in_place=True)
        return rgb(image)


def image_size(data: bytes, *, whole: bool = True) -> tuple[int, int]:
    """Height and width of an image file, px.

    Args:
        data: Bytes of the file.
        whole: Decode it, so that files that are cut short or damaged are found; else its header is
            enough.

    Raises:
        ImageError: As ``decode``.
    """
    with _opened(data) as image:
        if whole:
            image.load()
        return image.height, image.width


def rgb(image: Image.Image) -> Bytes:
    """Red, green and blue of an image of Pillow, shape (H, W, 3).

    Raises:
        ImageError: If its pixels are floats.
    """
    if image.mode == "F":
        raise ImageError("an image of floats")
    if image.mode.startswith("I"):  # 16 bits, which Pillow would clip at 255
        grey = (np.asarray(image) >> 8).astype(np.uint8)
        return np.repeat(grey[..., None], 3, axis=2)
    return np.array(image.convert("RGB"))


@contextmanager
def _opened(data: bytes) -> Iterator[Image.Image]:
    """Open an image and check the checksums that it has; report faults as ``ImageError``."""
    if not data:
        raise ImageError("an empty file (0 bytes)")
    try:
        with Image.open(io.BytesIO(data)) as image:
            if image.format == "PNG":  # whose checksums are not compared while it is decoded
                image.verify()
        with Image.open(io.BytesIO(data)) as image:
            yield image
    except UnidentifiedImageError as error:
        raise ImageError(f"{len(data)} bytes that are not an image") from error
    except Image.DecompressionBombError as error:
        raise ImageError("an image of too many pixels") from error
    except (OSError, SyntaxError, EOFError, IndexError, struct.error, zlib.error) as error:
        raise ImageError("a file that is damaged or cut short") from error


def in_threads(
    work: Callable[[_In], _Out], items: list[_In], title: str, progress: bool
) -> Iterator[_Out]:
    """Results in order, from threads: reading, hashing and decoding release the interpreter."""
    with ThreadPoolExecutor(min(16, os.cpu_count() or 1)) as pool:
        chunks = (items[start : start + CHUNK] for start in range(0, len(items), CHUNK))
        results = (result for chunk in chunks for result in pool.map(work, chunk))
        yield from track(results, title, len(items), show=progress)


@contextmanager
def opencv_name(path: Path) -> Iterator[str]:
    """Yield a name that OpenCV can open of a file, existing or not.

    It is the file's own, or that of a link to it while the context lasts.
    """
    try:
        str(path).encode()
    except UnicodeEncodeError:
        with TemporaryDirectory() as folder:
            link = Path(folder) / f"film{path.suffix}"
            link.symlink_to(path.absolute())
            yield str(link)
    else:
        yield str(path)
