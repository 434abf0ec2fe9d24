"""Tell a mistake of the user from a bug of ours, and say it in one message."""

from pathlib import Path

from hydra.errors import HydraException
from omegaconf.errors import OmegaConfBaseException

from facegeo.errors import UserError


def explain(error: BaseException, folder: Path, config_name: str) -> str | None:
    """Return the message for a mistake of the user, None for a bug of ours."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, UserError):
            return str(cause)
        cause = cause.__cause__
    if isinstance(error, HydraException | OmegaConfBaseException):
        return str(error)
    return None
