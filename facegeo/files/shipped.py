"""Locations of the files shipped with the package, in a wheel and in a checkout."""

from pathlib import Path

from facegeo.errors import UserError

PACKAGE = Path(__file__).resolve().parents[1]
SHARED = "shared"
"""Folder next to the studies with the weights that their runs have in common."""
SWEEPS = "sweeps"
"""Folder next to the studies with the outcome of each job of a sweep (``conf/train.yaml``)."""


def study_folder(out: str, study: str | None) -> Path:
    """Return the folder of a study, or of the runs of none.

    Raises:
        UserError: If it is not below ``out``, or is one that sweeps have for themselves; or if
            ``out`` is no folder's name.
    """
    if not isinstance(out, str | Path):
        raise UserError(f"out must be a folder (a number in quotes), got {out}")
    parts = Path(str(study or "")).parts
    if study is not None and (not parts or ".." in parts or Path(str(study)).is_absolute()):
        raise UserError(f"study must be a name such as my_shake or ccnn/shake, got {study!r}")
    if parts and parts[0] in (SHARED, SWEEPS):
        raise UserError(f"study={study}: sweeps keep other files in {parts[0]}/; choose another")
    return Path(out, *parts)


def conf_dir() -> Path:
    """Return the folder of the Hydra configs."""
    return shipped("conf")


def experiments_dir() -> Path:
    """Return the folder of the studies and their result tables."""
    return shipped("experiments")


def shipped(name: str) -> Path:
    """Return a folder that the wheel holds inside the package and a checkout beside it.

    Raises:
        FileNotFoundError: If neither place has it, so that the installation is incomplete.
    """
    places = (PACKAGE / name, PACKAGE.parent / name)
    for place in places:
        if place.is_dir():
            return place
    searched = " and ".join(map(str, places))
    raise FileNotFoundError(
        f"folder {name!r} of facegeo must be one of {searched}, found neither; reinstall facegeo"
    )
