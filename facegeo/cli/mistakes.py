"""The messages for mistakes of the user; everything else is a bug and keeps its traceback."""

import difflib
import errno
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from hydra import compose, initialize_config_dir
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import (
    ConfigCompositionException,
    HydraException,
    InstantiationException,
    OverrideParseException,
)
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import (
    InterpolationToMissingValueError,
    MissingMandatoryValue,
    OmegaConfBaseException,
)
from pydantic import ValidationError

from facegeo.cli.help import Group, groups
from facegeo.errors import UserError, mistaken_values

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
FULL_KEY = re.compile(r"^full_key: (\S+)$", re.M)
# A folder that the user may not write to, or a full disk.
NO_WRITING = {
    *(errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOSPC, errno.EDQUOT, errno.EFBIG),
    *(errno.ENOTDIR, errno.EEXIST),
}
# Raised by joblib and submitit when one of their processes was killed.
KILLED = ("TerminatedWorkerError", "BrokenProcessPool", "UncompletedJobError")
# Raised by libraries whose objects get a value that they cannot use.
REFUSALS = ("ValueError", "MisconfigurationException")
MISSING = (MissingMandatoryValue, InterpolationToMissingValueError)
COMPOSING = (ConfigCompositionException, OverrideParseException)


def explain(
    error: BaseException, config: Path, arguments: Sequence[str], cfg: DictConfig | None = None
) -> str | None:
    """Return the message for a mistake of the user, None for a bug.

    Args:
        error: Raised by the command.
        config: The command's top-level config file.
        arguments: As handed to Hydra.
        cfg: The composed config, if it came to that.
    """
    for cause in _chain(error):
        if message := _plain_message(cause, error, cfg):
            return message
    if isinstance(error, InstantiationException):
        return _explain_instantiation(error)
    if isinstance(error, COMPOSING):
        return _explain_overrides(error, config, arguments)
    of_hydra = isinstance(error, ValueError) and _raised_in_hydra(error)
    if of_hydra or isinstance(error, HydraException | OmegaConfBaseException):
        return _clean(str(error))
    return None


def _plain_message(
    cause: BaseException, error: BaseException, cfg: DictConfig | None
) -> str | None:
    """Explain a mistaken or missing value, a folder or disk, a killed process, a plugin."""
    if isinstance(cause, UserError):
        return str(cause)
    if isinstance(cause, ValidationError):
        part = FULL_KEY.search(str(error))
        return mistaken_values(cause.errors(include_url=False), part[1] if part else "")
    if isinstance(cause, MISSING):
        plain = {} if cfg is None else OmegaConf.to_container(cfg, resolve=False)
        keys = [key for key, value in _dotted(plain) if value == "???"] or [str(cause.full_key)]
        are = "is" if len(keys) == 1 else "are"
        add = " ".join(f"{key}=..." for key in keys)
        return f"{' and '.join(keys)} {are} missing: add {add}"
    if isinstance(cause, OSError) and cause.errno in NO_WRITING:
        where = f"{cause.filename}: " if cause.filename else ""
        return f"{where}{cause.strerror}; use another folder, or make room there"
    if type(cause).__name__ in KILLED:
        return (
            "a process of the launcher was killed, perhaps for lack of memory; the same command "
            f"continues with the remaining jobs ({type(cause).__name__})"
        )
    if plugin := UNKNOWN_PLUGIN.search(str(cause)):
        return (
            f"hydra/{plugin['kind']}={plugin['name']} is not installed; "
            f"pip install 'facegeo[{EXTRAS.get(plugin['name'], plugin['name'])}]'"
        )
    return None


def _explain_instantiation(error: InstantiationException) -> str | None:
    """Explain an object that could not be built, unless its own code is at fault."""
    root = list(_chain(error))[-1]
    refused = any(kind.__name__ in REFUSALS for kind in type(root).__mro__)
    wrong_arguments = isinstance(root, TypeError) and _raised_in_hydra(root)
    wrong_target = isinstance(root, ImportError | InstantiationException | OmegaConfBaseException)
    if not (refused or wrong_arguments or wrong_target):
        return None
    return f"{_clean(str(error))}\nFACEGEO_DEBUG=1 shows where"


def _explain_overrides(error: Exception, config: Path, arguments: Sequence[str]) -> str:
    """Explain all arguments that cannot be composed, each tried with the groups' choices."""
    listed = groups(config)
    names = {group.name for group in listed}
    words = [word for word in arguments if not word.startswith("-")]
    words.sort(key=lambda word: word.lstrip("+~").partition("=")[0] not in names)  # choices first
    choices, messages = list[str](), list[str]()
    for word in words:
        try:
            with initialize_config_dir(str(config.parent), version_base="1.3"):
                compose(config.stem, [*choices, _first_value(word)])
        except COMPOSING as mistake:
            messages.append(_explain_override(mistake, config, listed, choices))
        except (HydraException, OmegaConfBaseException):
            continue  # not this word's fault, or explained by ``error`` itself
        else:
            choices += [word] if word.lstrip("+~").partition("=")[0] in names else []
    return "\n".join(dict.fromkeys(messages)) or _explain_override(error, config, listed, choices)


def _first_value(word: str) -> str:
    """An override with the first of the values that a sweep would take."""
    (override,) = OverridesParser.create().parse_overrides([word])
    if not override.is_sweep_override():
        return word
    return f"{override.get_key_element()}={next(override.sweep_string_iterator())}"


def _explain_override(
    error: Exception, config: Path, listed: Sequence[Group], choices: Sequence[str]
) -> str:
    """Name the nearest keys or options for a key or option that does not exist."""
    if isinstance(error, OverrideParseException):
        return (
            f"cannot read {error.override!r}: {str(error).splitlines()[0]}; want KEY=VALUE, in "
            "quotes if it holds spaces, commas or brackets"
        )
    options = {group.name: group.options for group in listed}
    if unknown := UNKNOWN_KEY.search(str(error)):
        key = unknown["key"] or unknown["deleted"]
        if key in options:
            return f"{key} must be one of {', '.join(options[key])}"
        if owners := _owners(config, key, options.get(key.partition(".")[0], [])):
            return f"{key} is a key of {' and '.join(owners)}; choose it too, as {owners[0]}"
        with initialize_config_dir(str(config.parent), version_base="1.3"):
            composed = compose(config.stem, list(choices))
        known = [*options, *(name for name, _ in _dotted(OmegaConf.to_container(composed)))]
        nearest = [name for name in known if name.split(".")[-1] == key.split(".")[-1]]
        nearest += difflib.get_close_matches(key, known, n=3, cutoff=0.6)
        names = ", ".join(list(dict.fromkeys(nearest))[:3]) or "none"
        return f"there is no key {key!r}; nearest: {names} (--cfg job prints every key)"
    if unknown := UNKNOWN_OPTION.search(str(error)):
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
    return [f"{group}={option}" for option, node in plain.items() if inner in dict(_dotted(node))]


def _dotted(node: object, prefix: str = "") -> Iterator[tuple[str, object]]:
    """Yield the dotted name and the value of every key of nested dicts."""
    for key, value in node.items() if isinstance(node, dict) else ():
        yield f"{prefix}{key}", value
        yield from _dotted(value, f"{prefix}{key}.")


def _chain(error: BaseException) -> Iterator[BaseException]:
    """Yield an exception, its cause, and so on."""
    cause: BaseException | None = error
    while cause is not None:
        yield cause
        cause = cause.__cause__


def _raised_in_hydra(error: BaseException) -> bool:
    """Whether a call failed at Hydra's own line: the arguments did not fit the target."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return trace is not None and trace.tb_frame.f_globals["__name__"].startswith("hydra.")


def _clean(text: str) -> str:
    """Drop the lines that are of no use to a user."""
    return NOISE.sub("", text).strip()
