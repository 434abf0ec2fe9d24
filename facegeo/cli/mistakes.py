"""Tell a mistake of the user from a bug of ours, and say it in one message."""

import difflib
import errno
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from hydra import compose, initialize_config_dir
from hydra.errors import (
    ConfigCompositionException,
    HydraException,
    InstantiationException,
    OverrideParseException,
)
from omegaconf import OmegaConf
from omegaconf.errors import MissingMandatoryValue, OmegaConfBaseException

from facegeo.cli.help import groups
from facegeo.errors import UserError

UNKNOWN_KEY = re.compile(
    r"Could not override '(?P<key>[^']+)|Could not delete from config. '(?P<deleted>[^']+)"
)
UNKNOWN_OPTION = re.compile(r"Could not (?:find|load) '(?P<path>[^']+)'")
UNKNOWN_PLUGIN = re.compile(
    r"Unknown plugin class : 'hydra_plugins\.hydra_(?P<name>[a-z]+)_(?P<kind>launcher|sweeper)"
)
EXTRAS = {"joblib": "launchers", "submitit": "launchers", "optuna": "search"}
NOISE = re.compile(
    r"\n\s*(object_type=.*|reference_type=.*|Config search path:(.|\n)*)|, set env var HYDRA.*"
)
# A folder that is not the user's to write, or a full disk.
NO_WRITING = (
    errno.EACCES,
    errno.EPERM,
    errno.EROFS,
    errno.ENOSPC,
    errno.EDQUOT,
    errno.EFBIG,
    errno.ENOTDIR,
    errno.EEXIST,
)
# What launchers raise when one of their processes was killed: joblib's; submitit's.
KILLED = ("TerminatedWorkerError", "BrokenProcessPool", "UncompletedJobError")
# What libraries raise when they are built with a value that they can not use.
REFUSALS = ("ValueError", "MisconfigurationException")


def explain(error: BaseException, config: Path, arguments: Sequence[str]) -> str | None:
    """Return the message for a mistake of the user, None for a bug of ours.

    Args:
        error: What a command raised.
        config: The command's top-level config file.
        arguments: What the user typed behind the command's name.
    """
    for message in map(_plain_message, _chain(error)):
        if message is not None:
            return message
    if isinstance(error, InstantiationException):
        return _explain_instantiation(error)
    if isinstance(error, OverrideParseException):
        return (
            f"can not read {error.override!r}: {str(error).splitlines()[0]}; want KEY=VALUE, in "
            "quotes if it holds spaces, commas or brackets"
        )
    if isinstance(error, ConfigCompositionException):
        return _explain_composition(error, config, arguments)
    if isinstance(error, MissingMandatoryValue):
        return f"{error.full_key} has no value; add {error.full_key}=... to the command"
    of_hydra = isinstance(error, ValueError) and _raised_in_hydra(error)
    if of_hydra or isinstance(error, HydraException | OmegaConfBaseException):
        return _clean(str(error))
    return None


def _plain_message(error: BaseException) -> str | None:
    """Return what a mistake that is ours to tell says, or a place or plugin that is not there."""
    if isinstance(error, OSError) and error.errno in NO_WRITING:
        where = f"{error.filename}: " if error.filename else ""
        return f"{where}{error.strerror}; free some space, or choose another folder (out=...)"
    if type(error).__name__ in KILLED:
        return (
            "a process of the launcher was killed, perhaps for lack of memory; the same command "
            f"goes on with what is left ({type(error).__name__})"
        )
    if plugin := UNKNOWN_PLUGIN.search(str(error)):
        return (
            f"hydra/{plugin['kind']}={plugin['name']} is not installed; "
            f"pip install 'facegeo[{EXTRAS.get(plugin['name'], plugin['name'])}]'"
        )
    return str(error) if isinstance(error, UserError) else None


def _explain_instantiation(error: InstantiationException) -> str | None:
    """Explain an object that could not be built, unless its own code is at fault."""
    root = list(_chain(error))[-1]
    refused = any(kind.__name__ in REFUSALS for kind in type(root).__mro__)
    wrong_arguments = isinstance(root, TypeError) and _raised_in_hydra(root)
    wrong_target = isinstance(root, ImportError | InstantiationException | OmegaConfBaseException)
    if not (refused or wrong_arguments or wrong_target):
        return None
    return f"{_clean(str(error))}\nFACEGEO_DEBUG=1 shows where"


def _explain_composition(error: Exception, config: Path, arguments: Sequence[str]) -> str:
    """Name the nearest keys or options for a key or option that does not exist."""
    text = str(error)
    options = {group.name: group.options for group in groups(config)}
    if unknown := UNKNOWN_KEY.search(text):
        key = unknown["key"] or unknown["deleted"]
        if key in options:
            return f"{key} must be one of {', '.join(options[key])}"
        group = key.partition(".")[0]
        if owners := _owners(config, key, options.get(group, [])):
            return f"{key} is a key of {' and '.join(owners)}; choose it too, as {owners[0]}"
        nearest = _nearest(key, [*options, *_all_keys(config, key, arguments)])
        return f"there is no key {key!r}; nearest: {nearest} (--cfg job prints every key)"
    if unknown := UNKNOWN_OPTION.search(text):
        for group in options:
            if unknown["path"].startswith(f"{group}/"):
                option = unknown["path"].removeprefix(f"{group}/")
                return f"{group} must be one of {', '.join(options[group])}, got {option!r}"
    return _clean("\n".join(str(cause) for cause in _chain(error)))


def _owners(config: Path, key: str, options: Sequence[str]) -> list[str]:
    """Return those options of a key's group that have it, as ``group=option``."""
    group, _, inner = key.partition(".")
    files = {option: config.parent / group / f"{option}.yaml" for option in options}
    nodes = {option: OmegaConf.load(file) for option, file in files.items() if file.is_file()}
    plain = {option: OmegaConf.to_container(node) for option, node in nodes.items()}
    return [f"{group}={option}" for option, node in plain.items() if inner in _dotted(node)]


def _all_keys(config: Path, unknown: str, arguments: Sequence[str]) -> list[str]:
    """Return the dotted keys of the config that the other arguments choose."""
    others = [word for word in arguments if "=" in word and unknown not in word]
    for overrides in (others, []):  # the others may be mistaken as well
        try:
            with initialize_config_dir(str(config.parent), version_base="1.3"):
                return list(_dotted(OmegaConf.to_container(compose(config.stem, overrides))))
        except (HydraException, OmegaConfBaseException):
            continue
    return []


def _dotted(node: object, prefix: str = "") -> Iterator[str]:
    """Yield the dotted name of every key of nested dicts."""
    if isinstance(node, dict):
        for key, value in node.items():
            yield f"{prefix}{key}"
            yield from _dotted(value, f"{prefix}{key}.")


def _nearest(key: str, choices: Sequence[str]) -> str:
    """Return up to three choices: those that end in the same word, then those spelt alike."""
    last = key.rpartition(".")[2]
    same_word = [choice for choice in choices if choice.rpartition(".")[2] == last]
    alike = difflib.get_close_matches(key, choices, n=3, cutoff=0.6)
    return ", ".join(list(dict.fromkeys(same_word + alike))[:3]) or "none"


def _chain(error: BaseException) -> Iterator[BaseException]:
    """Yield an exception, what it was raised from, and so on."""
    cause: BaseException | None = error
    while cause is not None:
        yield cause
        cause = cause.__cause__


def _raised_in_hydra(error: BaseException) -> bool:
    """Say whether a call failed at Hydra's own line: the arguments did not fit the target."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return trace is not None and trace.tb_frame.f_globals["__name__"].startswith("hydra.")


def _clean(text: str) -> str:
    """Drop the lines that tell a user nothing."""
    return NOISE.sub("", text).strip()
