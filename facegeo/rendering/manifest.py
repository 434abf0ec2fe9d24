"""The record of a folder's faces, by which a half-written folder differs from a foreign one."""

import hashlib
import json
import platform
from collections.abc import Mapping
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from facegeo import __version__
from facegeo.errors import UserError
from facegeo.files.writing import LOCK, write_whole
from facegeo.rendering.ict_files import files_key, find_ict
from facegeo.rendering.light_files import contents_key, light_files
from facegeo.rendering.order import Order

FILE = "manifest.json"
UNFINISHED = ".unfinished"
ELSEWHERE = (
    "choose another folder (out= of facegeo-render, root of that part of data of facegeo-train) "
    "or remove this one"
)
PACKAGES = ("anny", "warp-lang", "numpy", "opencv-python-headless", "opencv-python")
"""What the pixels depend on, as far as it is installed."""
LOOKS = 3
"""Rises with each change of the code that changes what an order gives."""
SINCE: dict[str, Any] = {
    "shadows": True,
    "map_share": 0.0,
    "light_files": None,
    "mask": None,
    "portrait_looks": None,
}
"""Options that came without a rise, and what all folders had before."""
PORTRAIT_LOOKS = 3
"""As ``LOOKS``, of the code that only pictures lit by maps, and portraits, use."""


def options_of(order: Order) -> dict[str, Any]:
    """Return an order as plain values; for the head's path a hash of its files, which may move.

    Raises:
        UserError: If the files of the head are not there.
    """
    options = asdict(order) | {"looks": LOOKS, "quality": list(order.quality)}
    for name in ("head_path", "lights", "map_share", "mask"):
        del options[name]
    options["head_files"] = files_key(find_ict(order.head_path)) if order.head == "ict" else None
    return options | (_portrait_options(order) if order.as_portraits else {})


def _portrait_options(order: Order) -> dict[str, Any]:
    """Return the options that only the code of portraits reads."""
    maps = light_files(order.lights) if order.share_of_maps else []
    return {
        "map_share": order.share_of_maps,
        "light_files": contents_key(maps) if maps else None,
        "mask": list(order.mask) if order.layout == "portraits" else None,
        "portrait_looks": PORTRAIT_LOOKS,
    }


def options_hash(order: Order) -> str:
    """Return a hash of all options."""
    text = json.dumps(options_of(order), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def is_complete(root: Path, order: Order) -> bool:
    """Return whether a folder holds exactly what an order asks for.

    Raises:
        UserError: If the folder holds something else.
    """
    manifest = _read(root)
    if manifest is None:
        _refuse_strange_folder(root)
        return False
    if others := _differences(manifest, order):
        raise UserError(
            f"{root} holds faces made with other options ({'; '.join(others)}); {ELSEWHERE}, "
            "or replace its faces by facegeo-render with overwrite=true"
        )
    return bool(manifest.get("complete"))


def holds_others(root: Path, order: Order) -> bool:
    """Return whether a folder holds faces, whole or in part, that an order cannot use.

    Raises:
        UserError: If the manifest cannot be read.
    """
    manifest = _read(root)
    return manifest is not None and bool(_differences(manifest, order))


def mark_unfinished(root: Path) -> dict[str, Any]:
    """Record that faces of a folder are missing; return its options.

    Raises:
        UserError: If there is no manifest, or facegeo did not write it.
    """
    manifest = _read(root)
    if manifest is None:
        raise UserError(f"{root / FILE} is missing; {ELSEWHERE}")
    _write(root, manifest | {"complete": False})
    options: dict[str, Any] = manifest["options"]
    return options


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
    _write(root, manifest)


def _write(root: Path, manifest: Mapping[str, Any]) -> None:
    write_whole(root / FILE, json.dumps(manifest, indent=2) + "\n")


def _read(root: Path) -> dict[str, Any] | None:
    try:
        manifest: Any = json.loads((root / FILE).read_text())
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise UserError(f"{root / FILE} is not valid JSON ({error}); {ELSEWHERE}") from error
    options = manifest.get("options") if isinstance(manifest, dict) else None
    if not isinstance(options, dict) or not {"layout", "train", "test"} <= options.keys():
        raise UserError(f"{root / FILE} was not written by facegeo; {ELSEWHERE}")
    found: dict[str, Any] = manifest
    return found


def _refuse_strange_folder(root: Path) -> None:
    if not root.exists():
        return
    if not root.is_dir():
        raise UserError(f"{root} must be a folder, found a file; {ELSEWHERE}")
    strange = sorted(path.name for path in root.iterdir() if path.name != LOCK)
    if strange:
        raise UserError(
            f"{root} must be new, empty or made by facegeo, but it holds "
            f"{', '.join(strange[:3])} and no {FILE}; {ELSEWHERE}"
        )


def _differences(manifest: dict[str, Any], order: Order) -> list[str]:
    """List how a folder's faces differ from those an order would give."""
    found, wanted = SINCE | manifest["options"], SINCE | options_of(order)
    if (looks := found.get("looks")) != wanted["looks"]:
        age = "an older" if isinstance(looks, int) and looks < LOOKS else "another"
        return [f"made by {age} facegeo, whose faces look different: looks {looks}, {LOOKS} here"]
    others = [
        f"{key}: {found.get(key)} there, {wanted.get(key)} asked for"
        for key in sorted({*found, *wanted}, key=str)
        if found.get(key) != wanted.get(key)
    ]
    if manifest.get("complete"):
        return others
    there, here = manifest.get("versions", {}), _versions()
    return others + [
        f"begun with {name} {there.get(name, 'missing')}, {here.get(name, 'missing')} here"
        for name in PACKAGES
        if there.get(name) != here.get(name)
    ]


def _versions() -> dict[str, str]:
    found = {}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:  # one of the two of OpenCV
            continue
    return found
