"""Reduced head models, kept in the user's cache folder until code or source changes."""

import hashlib
import logging
import os
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path

from facegeo.rendering.linear_head import LinearHeadModel, read_linear_head, save_linear_head

log = logging.getLogger(__name__)
SHARED = ("head_model.py", "linear_head.py", "mesh.py", "open_sky.py", "paint.py", "sky_rays.py")
"""Modules that every reduction uses."""


def cached_head(
    kind: str, modules: Sequence[str], source: str, reduce: Callable[[], LinearHeadModel]
) -> LinearHeadModel:
    """Return a reduced model from the cache, making it where it is not there.

    Args:
        kind: Names the file.
        modules: What the reduction uses besides ``SHARED``.
        source: Identifies what is reduced: a version, or a hash of files.
        reduce: Makes the model.
    """
    here = Path(__file__).parent
    code = b"".join((here / name).read_bytes() for name in (*SHARED, *modules))
    stamp = f"{source} warp {version('warp-lang')}"
    key = hashlib.sha256(code + stamp.encode()).hexdigest()[:12]
    path = cache_folder() / f"{kind}-{key}.npz"
    if not path.is_file():
        log.info("building the %s head model, once: %s", kind, path)
        save_linear_head(reduce(), path)
    return read_linear_head(path)


def cache_folder() -> Path:
    """Return where reduced models are kept: below ``$FACEGEO_CACHE`` or the user's cache folder."""
    folder = os.environ.get("FACEGEO_CACHE") or "~/.cache/facegeo"
    return Path(folder).expanduser() / "heads"
