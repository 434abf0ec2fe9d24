"""A job's settings and numbers in the form that W&B keeps whole."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any, cast

AS_JSON = "as_json"
"""Key of a W&B config whose value is all the others as JSON text."""
VARIANT = "variant"
"""Key of what a run's study varies there, but for the seed, as text: to group runs by."""
VARIED = "varied"
"""Key of the same, setting by setting, for the axes of plots."""


def to_config(values: Mapping[str, Any], differs: Sequence[str] = ()) -> dict[str, Any]:
    """Plain settings as a W&B config, which drops empty mappings and mixes old with new.

    Args:
        values: Settings, with the job's record under ``record``.
        differs: What the job overrides and not all jobs of its study do, as ``key=value``.
    """
    text = json.dumps(values)
    varied = dict(word.split("=", 1) for word in differs if not word.startswith("seed="))
    added = {
        AS_JSON: text,
        VARIANT: " ".join(f"{key}={value}" for key, value in varied.items()) or "as configured",
        VARIED: {in_one_word(key): _number_or_text(value) for key, value in varied.items()},
    }
    return {**json.loads(text), **added}


def from_config(config: Mapping[str, Any]) -> dict[str, Any]:
    """Settings from a W&B config; empty if facegeo did not write it."""
    return cast(dict[str, Any], json.loads(config.get(AS_JSON, "{}")))


def to_summary(metrics: Mapping[str, float]) -> dict[str, float | str]:
    """Metrics as a W&B summary, which loses numbers that JSON does not have but by name."""
    names = {math.inf: "Infinity", -math.inf: "-Infinity"}
    return {
        name: value if math.isfinite(value) else names.get(value, "NaN")
        for name, value in metrics.items()
    }


def in_one_word(key: str) -> str:
    """A dotted key that W&B does not take apart."""
    return key.lstrip("+").replace(".", "/")


def from_summary(summary: Mapping[str, Any]) -> dict[str, float]:
    """Metrics from a W&B summary, without pictures and W&B's own entries."""
    names = ("NaN", "Infinity", "-Infinity")
    return {
        name: float(value)
        for name, value in summary.items()
        if name[:1] != "_" and (isinstance(value, int | float) or value in names)
    }


def _number_or_text(value: str) -> float | str:
    try:
        return float(value)
    except ValueError:
        return value
