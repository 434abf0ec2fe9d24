"""Checks of a job's configuration before anything is begun, and how each job ended."""

from __future__ import annotations

import difflib
import inspect
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from types import NoneType
from typing import Any, get_args

from hydra.utils import get_object
from omegaconf import DictConfig, ListConfig, OmegaConf
from pydantic import ConfigDict, TypeAdapter, ValidationError
from pydantic.errors import PydanticUserError
from pydantic_core import SchemaError

from facegeo.errors import WORDS, UserError, wanted_values
from facegeo.runs.folder import plain

JOBS = "jobs"
"""In a sweep's folder: how its jobs ended."""


@dataclass
class Outcome:
    """How a job ended.

    Attributes:
        folder: The job's.
        overrides: Of the command and the sweep.
        status: "done", "done before", "elsewhere" (in another process), "stopped", "failed", or the
            state that a dry run found.
        error: Why it failed.
    """

    folder: str
    overrides: list[str]
    status: str
    error: str | None = None


Name = str | int | float


@dataclass
class Label:
    """The name of the variants that have all values of ``when``."""

    name: Name
    when: dict[str, Any] | None = None


ABOUT: dict[str, tuple[Any, str]] = {
    "question": (str, "a text"),
    "source": (str, "a text, such as 'CCNN, Fig. 4'"),
    "paper": (str, "a section of experiments/paper_values.yaml, such as ccnn.fig6_shake"),
    "split": (str, "val, test or the name of other data"),
    "rows": (list[Name], "a list such as [stage1,stage2]"),
    "measure": (str, "a measure such as error_pct"),
    "baseline": (Name, "the name of a row"),
    "labels": (list[Label], "a list such as [{name: large, when: {model.size: 64}}]"),
    "plots": (list[Name], "a list such as [points,ced]"),
}
"""Keys of the ``about`` section of a study: their types, and these in words. Any may be null."""


def sound(about: object) -> tuple[dict[str, Any], list[str]]:
    """Return an ``about`` without its mistakes, and a sentence on each of these."""
    if not isinstance(about, Mapping):
        faults = [f"about must hold keys such as question and rows, got {about!r}"]
        return {}, [] if about is None else faults
    kept, faults = dict[str, Any](), list[str]()
    for key, value in about.items():
        kind, wanted = ABOUT.get(str(key), (None, ""))
        if kind is None:
            faults.append(f"about has no key {key}; it has {', '.join(ABOUT)}")
        elif value is None or _fits(value, kind):
            kept[key] = value
        else:
            faults.append(f"about.{key} must be {wanted}, got {value!r}")
    return kept, faults


def _fits(value: object, kind: Any) -> bool:  # noqa: ANN401
    try:
        TypeAdapter(kind).validate_json(json.dumps(value, default=str), strict=True)
    except ValidationError:
        return False
    return True


def check_job(cfg: DictConfig) -> None:
    """Check seed, ``about``, splits and objective of a config composed from ``conf/train.yaml``.

    Raises:
        UserError: If one cannot be used.
    """
    if type(cfg.seed) is not int or not 0 <= cfg.seed < 2**32:
        raise UserError(f"seed must be a whole number from 0 to 2^32 - 1, got {cfg.seed!r}")
    about = cfg.about
    plain = OmegaConf.to_container(about, resolve=True) if OmegaConf.is_config(about) else about
    if faults := sound(plain)[1]:
        raise UserError("; ".join(faults))
    check_measured(cfg)
    objective = cfg.objective
    if objective is None:
        return
    if not str(objective).startswith("val/") or "val" not in cfg.splits:
        raise UserError(
            f"objective={objective} with splits={list(cfg.splits)}: a search must not see the "
            "test faces; wanted a metric such as val/stage2/error_pct, and splits=[val]"
        )
    if cfg.dry_run:
        raise UserError(
            "dry_run cannot list a search: its runs depend on earlier results; leave dry_run out"
        )


def check_whole_job(cfg: DictConfig) -> None:
    """Check all settings of a training whose axes have their values, before anything is begun.

    Raises:
        UserError: If one cannot be used; of wrong values it names all.
    """
    check_job(cfg)
    check_values(plain(cfg))


def check_measured(cfg: DictConfig) -> None:
    """Check the splits and other data that a run or an evaluation measures.

    Raises:
        UserError: If ``splits`` is not a list of words, ``also_on`` not data by name, or both are
            empty.
    """
    splits, others = cfg.splits, cfg.get("also_on") or DictConfig({})
    if not isinstance(splits, ListConfig) or not all(isinstance(one, str) for one in splits):
        raise UserError(f"splits must be a list of val and test, such as [val], got {splits}")
    nodes = others.values() if isinstance(others, DictConfig) else [None]
    if not all(isinstance(node, DictConfig) for node in nodes):
        raise UserError(
            f"also_on must be data by name, as +data@also_on.strangers=lfpw gives, got {others}"
        )
    if not (splits or others):
        raise UserError("splits=[] measures nothing: name val, test or both, such as splits=[val]")


OBJECT = "needs_python_object"
"""Pydantic's error for values that must be of a class, which JSON does not have."""
OWN_OBJECTS = ConfigDict(arbitrary_types_allowed=True)


def check_values(config: Mapping[str, Any]) -> None:
    """Check the arguments of every object to build: their names, and their annotated types.

    Hydra passes on any value: ``data.batch_size=abc`` would fail deep in some code, and an
    optimizer's mistake in the middle of a training. Arguments without an annotation, and objects
    to build, are left to the object.

    Args:
        config: Plain and resolved, with objects as ``_target_``.

    Raises:
        UserError: With all mistakes, key and value.
    """
    if mistakes := list(_mistakes(config, "")):
        raise UserError("; ".join(mistakes))


def _mistakes(node: object, key: str) -> Iterator[str]:
    if isinstance(node, list):
        for number, value in enumerate(node):
            yield from _mistakes(value, f"{key}[{number}]")
    if not isinstance(node, Mapping):
        return
    hints, names = _arguments(str(node["_target_"])) if "_target_" in node else ({}, None)
    for name, value in node.items():
        inner = f"{key}.{name}" if key else str(name)
        if names is not None and not str(name).startswith("_") and name not in names:
            close = difflib.get_close_matches(str(name), names, n=1)
            yield f"there is no key {inner}" + (f", perhaps {close[0]} is meant" if close else "")
        if name in hints and (wanted := _wanted(value, hints[name])):
            yield f"{inner} must {wanted}, got {value!r}"
        yield from _mistakes(value, inner)


@cache
def _arguments(target: str) -> tuple[dict[str, Any], list[str] | None]:
    """Known types of an object's named arguments, and their names unless it takes any others."""
    try:
        parameters = inspect.signature(get_object(target), eval_str=True).parameters.values()
        named = [
            one for one in parameters if one.kind in (one.POSITIONAL_OR_KEYWORD, one.KEYWORD_ONLY)
        ]
        hints = {
            one.name: one.annotation if one.default is not None else one.annotation | None
            for one in named
            if one.annotation is not one.empty
        }
    except Exception:  # Hydra will report the object, or its annotations are odd
        return {}, None
    others = any(one.kind == one.VAR_KEYWORD for one in parameters)
    return hints, None if others else [one.name for one in named]


def _wanted(value: object, hint: Any) -> str:  # noqa: ANN401
    """The type that a value should have had, in words; empty if it fits."""
    text = json.dumps(value)
    if "_target_" in text:
        return ""
    try:
        TypeAdapter(hint, config=OWN_OBJECTS).validate_json(text, strict=True)
    except (PydanticUserError, SchemaError):  # a type that pydantic does not know
        return f"be {WORDS[OBJECT]}" if value is None and NoneType not in get_args(hint) else ""
    except ValidationError as error:
        faults = error.errors(include_url=False)
        if isinstance(value, str | Mapping) and all(fault["type"] == OBJECT for fault in faults):
            return ""  # text and mappings may mean an object, as "cuda" does
        return wanted_values(faults)
    return ""
