"""The record of what a folder holds, which tells a half-written folder from a foreign one."""

import hashlib
import json
import platform
import shutil
import uuid
from collections.abc import Mapping
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from facegeo import __version__
from facegeo.errors import UserError
from facegeo.synthetic.order import Order

FILE = "manifest.json"
UNFINISHED = ".unfinished"
LOOKS = 2
"""Rises with each change of the code that changes what an order gives."""


def options_of(order: Order) -> dict[str, Any]:
    """Return an order as plain values; of the head's path only the name, as folders move."""
    options = asdict(order) | {"looks": LOOKS, "quality": list(order.quality)}
    options["head_path"] = order.head_path.name if order.head_path else None
    return options


def options_hash(order: Order) -> str:
    """Return a hash of all options."""
    text = json.dumps(options_of(order), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def is_complete(root: Path, order: Order) -> bool:
    """Tell whether a folder holds exactly what an order asks for.

    Raises:
        UserError: If the folder holds something else.
    """
    manifest = _read(root)
    if manifest is None:
        _refuse_strange_folder(root)
        return False
    _refuse_other_order(root, manifest, order)
    return bool(manifest.get("complete"))


def write_manifest(root: Path, order: Order, *, complete: bool, notes: Mapping[str, str]) -> None:
    """Write the record, before the first sample and after the last."""
    manifest = {
        "made_by": f"facegeo {__version__}",
        "complete": complete,
        "hash": options_hash(order),
        "options": options_of(order),
        "counts": {"train": order.train, "test": order.test},
        "notes": dict(notes),
        "versions": {"python": platform.python_version(), **_versions()},
    }
    write_atomically(root / FILE, (json.dumps(manifest, indent=2) + "\n").encode())


def write_atomically(path: Path, data: bytes) -> None:
    """Write a file under another name and rename it, so that no half file is ever seen."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{uuid.uuid4().hex}.part")
    try:
        part.write_bytes(data)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def empty_folder(root: Path) -> None:
    """Remove a folder that a manifest marks as ours.

    Raises:
        UserError: If there is no manifest in it.
    """
    if _read(root) is None:
        _refuse_strange_folder(root)
        return
    shutil.rmtree(root)


def _read(root: Path) -> dict[str, Any] | None:
    try:
        manifest = json.loads((root / FILE).read_text())
    except FileNotFoundError:
        return None
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise UserError(
            f"{root / FILE} is no JSON ({error}); remove {root} or set another out"
        ) from error
    if not isinstance(manifest, dict) or "options" not in manifest:
        raise UserError(f"{root / FILE} was not written by facegeo-render; set another out")
    return manifest


def _refuse_strange_folder(root: Path) -> None:
    if not root.exists():
        return
    if not root.is_dir():
        raise UserError(f"out={root} must be a folder, found a file; set another out")
    strange = sorted(path.name for path in root.iterdir())
    if strange:
        raise UserError(
            f"out={root} must be new, empty or made by facegeo-render, but it holds "
            f"{', '.join(strange[:3])} and no {FILE}; set another out"
        )


def _refuse_other_order(root: Path, manifest: dict[str, Any], order: Order) -> None:
    found, wanted = manifest["options"], options_of(order)
    keys = sorted({*found, *wanted}, key=str)
    other = [key for key in keys if found.get(key) != wanted.get(key)]
    if other:
        said = "; ".join(f"{k}: {found.get(k)} there, {wanted.get(k)} asked for" for k in other)
        raise UserError(
            f"{root} holds faces made with other options ({said}); "
            "set another folder, remove this one, or replace it by facegeo-render overwrite=true"
        )


def _versions() -> dict[str, str]:
    found = {}
    for name in ("anny", "warp-lang", "numpy", "opencv-python-headless"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:  # another OpenCV package, say
            continue
    return found
