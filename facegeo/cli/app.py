"""Start a command: its help and version, Hydra, and one message for each mistake of the user."""

import functools
import logging
import os
import platform
import sys
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from facegeo import __version__
from facegeo.cli.arguments import overrides
from facegeo.cli.help import help_text
from facegeo.files.shipped import conf_dir
from facegeo.training.memory import keep_freed_memory

if TYPE_CHECKING:
    from omegaconf import DictConfig as DictConfig
else:
    DictConfig = Any  # it takes a quarter of a second to import, which --version need not wait for

Job = Callable[[DictConfig], object]

USER_ERROR = 2
INTERRUPTED = 130  # 128 + SIGINT, as shells report it
STOPPED = 143  # 128 + SIGTERM
BROKEN_PIPE = 141  # 128 + SIGPIPE


def launch(
    function: Job,
    config_name: str,
    about: str,
    examples: Sequence[str],
    *,
    interrupted: str = "interrupted",
    bare: str | None = None,
    conf: Path | None = None,
) -> None:
    """Run a command on the arguments of the process.

    A mistake of the user ends the process with one message and exit code 2, Ctrl-C with one
    line and exit code 130. With ``FACEGEO_DEBUG=1`` both keep their traceback, as every other
    exception always does.

    Args:
        function: The command's work, called with the composed config; once for each job of a
            sweep.
        config_name: Name of the top-level config; the command is called ``facegeo-<name>``.
        about: One paragraph on the command, for its help.
        examples: Command lines worth copying, for its help.
        interrupted: Printed after Ctrl-C, such as how to resume, unless the exception has a text.
        bare: Key of words that are typed without one.
        conf: Folder of the configs; the package's own if None.

    Raises:
        SystemExit: After a mistake of the user or Ctrl-C, as above.
    """
    program, config = f"facegeo-{config_name}", (conf or conf_dir()) / f"{config_name}.yaml"
    words = sys.argv[1:]
    if "--version" in words:
        print(f"facegeo {__version__} (python {platform.python_version()})")
        return
    if {"-h", "--help"} & {*words}:
        try:
            print(help_text(program, about, examples, config, words))
        except Exception as error:
            _end(error, program, config, None)
        return
    sys.argv[1:] = overrides(words, bare)
    _set_up_logging()
    failure, cfg = _run_hydra(function, config)
    if isinstance(failure, KeyboardInterrupt) and not _debugging():
        print(f"{program}: {str(failure) or interrupted}", file=sys.stderr)
        sys.exit(INTERRUPTED)
    if failure is not None:
        _end(failure, program, config, cfg)


def _end(failure: BaseException, program: str, config: Path, cfg: DictConfig | None) -> NoReturn:
    """End the process after SIGTERM or a mistake of the user; raise anything else again."""
    if isinstance(failure, SystemExit):
        print(f"{program}: stopped by SIGTERM; the same command resumes", file=sys.stderr)
        sys.exit(STOPPED)
    if isinstance(failure, BrokenPipeError):  # `| head` has read enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(BROKEN_PIPE)
    from facegeo.cli.mistakes import explain

    message = None if _debugging() else explain(failure, config, sys.argv[1:], cfg)
    if message is None:
        raise failure
    print(f"{program}: error: {message}", file=sys.stderr)
    sys.exit(USER_ERROR)


def _set_up_logging() -> None:
    """Print each line once, without Lightning's tips that no user can act on."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")  # Hydra's: conf/hydra/quiet.yaml
    logging.getLogger("lightning").propagate = False  # it adds a handler of its own on import
    # Which accelerators it did not find, and tips to install other products.
    logging.getLogger("lightning.pytorch.utilities.rank_zero").setLevel(logging.WARNING)
    # Our launchers' files are called as the plugins' own schemas are: not for the user to correct.
    warnings.filterwarnings("ignore", message=r"\s*'hydra/launcher/\w+' is validated against")
    # Lightning 2.6 asks torch 2.13 in a way that the next torch will not know.
    warnings.filterwarnings("ignore", message=r"`isinstance\(treespec, LeafSpec\)` is deprecated")


def _run_hydra(function: Job, config: Path) -> tuple[BaseException | None, DictConfig | None]:
    """Compose the config and run the job or the sweep; return an exception and its config."""
    import hydra
    from hydra.core.hydra_config import HydraConfig
    from hydra.types import RunMode

    failures: list[BaseException] = []
    configs: list[DictConfig] = []

    @functools.wraps(function)
    def job(cfg: DictConfig) -> object:
        _set_up_logging()  # in a process of a launcher it is not yet
        keep_freed_memory()
        try:
            return function(cfg)
        except Exception as error:
            configs.append(cfg)
            if HydraConfig.get().mode == RunMode.MULTIRUN:
                raise  # Hydra names the job, after the others have run
            failures.append(error)  # Hydra would print a line of its own before ours
            return None

    main = hydra.main(version_base="1.3", config_path=str(config.parent), config_name=config.stem)
    before = {name: os.environ[name] for name in ("HYDRA_FULL_ERROR",) if name in os.environ}
    os.environ["HYDRA_FULL_ERROR"] = "1"  # else Hydra prints errors, exits with 1
    try:
        main(job)()
    except (Exception, KeyboardInterrupt) as error:
        failures.append(error)
    except SystemExit as end:
        if type(end).__name__ == "SIGTERMException":  # Lightning's, which would exit with 0
            failures.append(end)
        elif isinstance(end.__context__, KeyboardInterrupt):
            failures.append(end.__context__)  # Lightning's trainer turns Ctrl-C into exit code 1
        else:
            raise
    finally:
        del os.environ["HYDRA_FULL_ERROR"]
        os.environ.update(before)
    return (failures[0] if failures else None), (configs[0] if configs else None)


def _debugging() -> bool:
    return os.environ.get("FACEGEO_DEBUG") == "1"
