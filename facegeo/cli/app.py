"""Start one command: its help and version, Hydra, and errors told in one message."""

import logging
import os
import platform
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from facegeo import __version__
from facegeo.cli.help import help_text
from facegeo.paths import conf_dir

if TYPE_CHECKING:
    from omegaconf import DictConfig

USER_ERROR = 2
INTERRUPTED = 130  # 128 + SIGINT, as shells report it


def launch(
    function: Callable[["DictConfig"], object],
    config_name: str,
    about: str,
    examples: Sequence[str],
    *,
    conf: Path | None = None,
) -> None:
    """Run a command on the arguments of the process; does not return after an error.

    A mistake of the user ends with one message and exit code 2, Ctrl-C with exit code 130 and
    the exception's text if it has one. With ``FACEGEO_DEBUG=1`` both keep their traceback, as
    every other exception always does.

    Args:
        function: The command's work, called with the composed config; once for each job of a
            sweep.
        config_name: Name of the top-level config; the command is called ``facegeo-<name>``.
        about: What the command does, in one paragraph, for its help.
        examples: Arguments worth copying, each with a comment behind ``#``, for its help.
        conf: Folder of the configs; the package's own if None.
    """
    program, folder = f"facegeo-{config_name}", conf or conf_dir()
    if {"-h", "--help"} & set(sys.argv[1:]):
        print(help_text(program, about, examples, folder / f"{config_name}.yaml"))
        return
    if "--version" in sys.argv[1:]:
        print(f"facegeo {__version__} (python {platform.python_version()})")
        return
    # Set up before Lightning is imported: it then leaves printing to this handler, so that its
    # lines appear once.
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    with _errors_told_once(program, folder, config_name):
        _run_hydra(function, config_name, folder)


def _run_hydra(function: Callable[["DictConfig"], object], config_name: str, folder: Path) -> None:
    """Compose the config and run the job or the sweep; exceptions come through as they are."""
    import hydra

    before = os.environ.get("HYDRA_FULL_ERROR")
    os.environ["HYDRA_FULL_ERROR"] = "1"  # else Hydra prints them itself and exits with code 1
    try:
        hydra.main(version_base="1.3", config_path=str(folder), config_name=config_name)(function)()
    finally:
        if before is None:
            del os.environ["HYDRA_FULL_ERROR"]
        else:
            os.environ["HYDRA_FULL_ERROR"] = before


@contextmanager
def _errors_told_once(program: str, folder: Path, config_name: str) -> Iterator[None]:
    """Turn mistakes of the user and Ctrl-C into one message and an exit code."""
    try:
        yield
    except KeyboardInterrupt as interrupt:
        if os.environ.get("FACEGEO_DEBUG") == "1":
            raise
        print(f"{program}: {interrupt or 'interrupted'}", file=sys.stderr)
        sys.exit(INTERRUPTED)
    except Exception as error:
        from facegeo.cli.mistakes import explain

        message = explain(error, folder, config_name)
        if message is None or os.environ.get("FACEGEO_DEBUG") == "1":
            raise
        print(f"{program}: error: {message}", file=sys.stderr)
        sys.exit(USER_ERROR)
