"""The folder of prepared sessions: whose it is, what is finished, its list and its manifest."""

import json
import platform
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from facegeo import __version__
from facegeo.data.raw_session import RawSession
from facegeo.errors import UserError
from facegeo.procedures.prepare_session import Prepared
from facegeo.synthetic.manifest import write_atomically

MANIFEST, LIST = "manifest.json", "faces.csv"


def claim(root: Path, out: Path, options: Mapping[str, Any]) -> None:
    """Refuse to write to a folder that holds something else, or to the source itself.

    Args:
        root: Folder of the raw sessions.
        out: Folder to write to.
        options: What decides the bytes of a session.

    Raises:
        UserError: If ``root`` is no folder, or ``out`` lies in it, holds other files or sessions
            that were prepared otherwise.
    """
    if not root.is_dir():
        raise UserError(f"root={root} must be a folder of sessions, found none there; set root=DIR")
    if out.resolve().is_relative_to(root.resolve()):
        raise UserError(f"out={out} must lie outside root={root}, whose files it would replace")
    if not out.exists() or not any(out.iterdir()):
        return
    try:
        manifest = json.loads((out / MANIFEST).read_text(encoding="utf-8"))
        found = manifest["prepared"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(
            f"out={out} must be new, empty or written by facegeo-prepare, but it holds other "
            "files; choose another folder"
        ) from error
    others = [
        f"{key}: {found.get(key)} there, {value} asked for"
        for key, value in options.items()
        if found.get(key) != value
    ]
    if others:
        raise UserError(
            f"out={out} was prepared otherwise ({'; '.join(others)}); choose another folder or "
            "remove this one"
        )


def is_finished(out: Path, session: RawSession) -> bool:
    """Tell whether a folder holds a session as made from what the raw session holds now."""
    record = Prepared.read(out / session.name)
    return (
        record is not None
        and record.source == session.digest
        and all((out / session.name / name).is_file() for name in record.files())
    )


def write_list(out: Path, records: Sequence[Prepared]) -> None:
    """Write ``faces.csv``, one column ``face``."""
    faces = [f"{record.name}/{face}" for record in records for face in record.faces()]
    write_atomically(out / LIST, "".join(f"{line}\n" for line in ["face", *faces]).encode())


def write_manifest(
    out: Path,
    options: Mapping[str, Any],
    counts: Mapping[str, int],
    notes: Mapping[str, str],
    *,
    complete: bool,
) -> None:
    """Write what the folder holds and what made it.

    Args:
        out: Folder of prepared sessions.
        options: What decides the bytes of a session.
        counts: How many of what it holds.
        notes: How to read its files.
        complete: Whether all sessions are finished.
    """
    manifest = {
        "made_by": f"facegeo {__version__}",
        "complete": complete,
        "prepared": dict(options),
        "counts": dict(counts),
        "notes": dict(notes),
        "versions": {
            "python": platform.python_version(),
            **{name: version(name) for name in ("torch", "numpy")},
        },
    }
    write_atomically(out / MANIFEST, (json.dumps(manifest, indent=2) + "\n").encode())
