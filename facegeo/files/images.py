"""Image files: decoding, integrity, size; work in threads.

OpenCV decodes a JPEG that stops in the middle to a half grey image and only warns, so files are
checked before they are decoded.
"""

from __future__ import annotations

import os
import re
import struct
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeVar, cast

import cv2
import numpy as np
import numpy.typing as npt
from rich.console import Console
from rich.progress import track


def in_threads(
    work: Callable[[_In], _Out], items: list[_In], title: str, progress: bool
) -> Iterator[_Out]:
    """Results in order, from threads: reading, hashing and decoding release the interpreter."""
    console = Console(stderr=True)
    with ThreadPoolExecutor(min(16, os.cpu_count() or 1)) as pool:
        chunks = (items[start : start + CHUNK] for start in range(0, len(items), CHUNK))
        results = (result for chunk in chunks for result in pool.map(work, chunk))
        yield from track(
            results,
            description=title,
            total=len(items),
            console=console,
            transient=True,
            disable=not (progress and console.is_terminal),
        )


CHUNK = 256  # images decoded ahead of the writer: bounds the memory
_In = TypeVar("_In")
_Out = TypeVar("_Out")


@contextmanager
def opencv_name(path: Path) -> Iterator[str]:
    """Yield a name of a file, there already or not, that OpenCV can open.

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


JPEG, PNG = b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n"
PGM = re.compile(rb"P5" + rb"(?:\s|#[^\n]*\n)+(\d+)" * 3 + rb"\s")
"""Header of a binary PGM: width, height and greatest value, between blanks and comments."""
SOS, EOI = 0xDA, b"\xff\xd9"
SOF = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}  # frame headers; the three are tables
TORN = "a file that stops in the middle"


class ImageError(ValueError):
    """An image file that can not be used; the text says what was found."""


def image_size(data: bytes) -> tuple[int, int] | None:
    """Check that a JPEG, PNG or binary PGM file is whole and read its size without decoding it.

    Args:
        data: Bytes of the file.

    Returns:
        Height and width in pixels; None for other formats, which only ``decode`` can judge.

    Raises:
        ImageError: If the file is empty, cut short or, for PNG, damaged.
    """
    if not data:
        raise ImageError("an empty file (0 bytes)")
    try:
        if data.startswith(JPEG):
            return _jpeg_size(data)
        if data.startswith(PNG):
            return _png_size(data)
        if header := PGM.match(data):
            return _pgm_size(data, header)
    except (struct.error, IndexError) as error:
        raise ImageError(TORN) from error
    return None


def decode(data: bytes, *, turned: bool = False) -> npt.NDArray[np.uint8]:
    """Decode a whole image file.

    Args:
        data: Bytes of the file, in any format that OpenCV reads.
        turned: Turn it as its EXIF orientation says, as viewers do; by default the tag is ignored,
            since points of a list belong to the pixels as stored.

    Returns:
        Red, green, blue, shape (H, W, 3).

    Raises:
        ImageError: If it is no image, cut short or damaged.
    """
    image_size(data)
    kept = 0 if turned else cv2.IMREAD_IGNORE_ORIENTATION
    try:
        image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR | kept)
    except cv2.error as error:
        raise ImageError(f"one that OpenCV refuses ({error.err})") from error
    if image is None:
        raise ImageError(f"{len(data)} bytes that are no image")
    return cast(npt.NDArray[np.uint8], cv2.cvtColor(image, cv2.COLOR_BGR2RGB))


def whole_size(data: bytes) -> tuple[int, int]:
    """Height and width of an image file of any format, px; decodes only what it must.

    Raises:
        ImageError: If the file is empty, cut short, damaged or no image.
    """
    size = _bitmap_size(data) if data.startswith(b"BM") else image_size(data)
    if size is None:
        height, width, _ = decode(data).shape
        return height, width
    return size


def _jpeg_size(data: bytes) -> tuple[int, int]:
    """Walk the segments up to the first scan, then look for the end marker.

    A search from the end would take the end marker of an embedded thumbnail for the file's own.
    """
    at, size = 2, None
    while True:
        while data[at] == 0xFF:  # markers may be padded
            at += 1
        marker = data[at]
        (length,) = struct.unpack_from(">H", data, at + 1)
        if marker in SOF:
            height, width = struct.unpack_from(">HH", data, at + 4)
            size = (height, width)
        at += 1 + length
        if marker == SOS:
            break
        if data[at] != 0xFF:
            raise ImageError("a damaged JPEG header")
    if data.find(EOI, at) < 0:
        raise ImageError(TORN)
    if size is None:
        raise ImageError("a JPEG without a frame header")
    return size


def _pgm_size(data: bytes, header: re.Match[bytes]) -> tuple[int, int]:
    """Compare the bytes behind the header with the size that it states."""
    width, height, greatest = map(int, header.groups())
    if len(data) - header.end() < width * height * (1 if greatest < 256 else 2):
        raise ImageError(TORN)
    return height, width


def _png_size(data: bytes) -> tuple[int, int]:
    """Check the checksums of all chunks up to the end chunk."""
    at, kind = len(PNG), b""
    while kind != b"IEND":
        length, kind = struct.unpack_from(">I4s", data, at)
        body = data[at + 4 : at + 8 + length]
        (checksum,) = struct.unpack_from(">I", data, at + 8 + length)
        if zlib.crc32(body) != checksum:
            raise ImageError("a damaged PNG (checksum)")
        at += 12 + length
    width, height = struct.unpack_from(">II", data, len(PNG) + 8)
    return height, width


def _bitmap_size(data: bytes) -> tuple[int, int] | None:
    """Size of a BMP that is whole; None if it is packed, so that only decoding can tell."""
    try:
        (start,) = struct.unpack_from("<I", data, 10)
        width, height, _, bits, packed = struct.unpack_from("<iiHHI", data, 18)
    except struct.error as error:
        raise ImageError(TORN) from error
    if packed or width <= 0 or height == 0:
        return None
    if len(data) < start + (width * bits + 31) // 32 * 4 * abs(height):
        raise ImageError(TORN)
    return abs(height), width
