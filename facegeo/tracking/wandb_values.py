"""A job's settings and numbers in the form that W&B keeps whole."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any, cast

AS_JSON = "as_json"
"""Key of a W&B config whose value is all the others as JSON text."""


def to_config(values: Mapping[str, Any]) -> dict[str, Any]:
    """Plain settings as a W&B config, which drops empty mappings and mixes old with new."""
    text = json.dumps(values)
    return {**json.loads(text), AS_JSON: text}


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


def from_summary(summary: Mapping[str, Any]) -> dict[str, float]:
    """Metrics from a W&B summary, without pictures and W&B's own entries."""
    names = ("NaN", "Infinity", "-Infinity")
    return {
        name: float(value) if value in names else value
        for name, value in summary.items()
        if name[:1] != "_" and (isinstance(value, int | float) or value in names)
    }
