"""The ``about`` section of a study's configuration: its keys and their values."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _is_name(value: object) -> bool:
    return isinstance(value, str | int | float) and not isinstance(value, bool)


def _are_names(value: object) -> bool:
    return isinstance(value, list | tuple) and all(map(_is_name, value))


def _are_labels(value: object) -> bool:
    return isinstance(value, list | tuple) and all(
        isinstance(label, Mapping)
        and _is_name(label.get("name"))
        and isinstance(label.get("when") or {}, Mapping)
        for label in value
    )


WANTED: dict[str, tuple[Callable[[object], bool], str]] = {
    "question": (_is_text, "a text"),
    "source": (_is_text, "a text, such as 'CCNN, Fig. 4'"),
    "paper": (_is_text, "a section of experiments/paper_values.yaml, such as ccnn.fig6_shake"),
    "split": (_is_text, "val, test or the name of other data"),
    "rows": (_are_names, "a list such as [stage1,stage2]"),
    "measure": (_is_text, "a measure such as error_pct"),
    "baseline": (_is_name, "the name of a row"),
    "labels": (_are_labels, "a list such as [{name: large, when: {model.size: 64}}]"),
    "plots": (_are_names, "a list such as [points,ced]"),
}


def about_faults(about: object) -> dict[str, str]:
    """Mistakes by key; one without a key if ``about`` is not a mapping."""
    if about is None:
        return {}
    if not isinstance(about, Mapping):
        return {"": f"about must hold keys such as question and rows, got {about!r}"}
    faults = {}
    for key, value in about.items():
        if key not in WANTED:
            faults[str(key)] = f"about has no key {key}; it has {', '.join(WANTED)}"
        elif value is not None and not WANTED[key][0](value):
            faults[key] = f"about.{key} must be {WANTED[key][1]}, got {value!r}"
    return faults


def sound(about: object) -> tuple[dict[str, Any], list[str]]:
    """An ``about`` without its mistakes, and a note on each of them."""
    faults = about_faults(about)
    kept = about if isinstance(about, Mapping) else {}
    return {str(k): v for k, v in kept.items() if str(k) not in faults}, list(faults.values())
