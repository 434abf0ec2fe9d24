"""Where the files that travel with the package stand, in a wheel and in a checkout."""

from pathlib import Path

PACKAGE = Path(__file__).resolve().parent
PLAN = "plan.json"
"""In a study's folder: the jobs it is to have, what they are to tell, and the command."""


def conf_dir() -> Path:
    """Return the folder of the Hydra configs."""
    return shipped("conf")


def experiments_dir() -> Path:
    """Return the folder of the studies and their result tables."""
    return shipped("experiments")


def released_dir() -> Path:
    """Return the folder of the trained weights that come with the package."""
    return shipped("released")


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
