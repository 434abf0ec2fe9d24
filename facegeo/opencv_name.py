"""Names of files for OpenCV, whose films take UTF-8 alone: others end the process."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory


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
