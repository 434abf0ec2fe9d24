"""One figure as data for plotly.js, and what all figures share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

# Okabe and Ito's palette without black, which a dark page would hide.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#8A8A8A")
DASHES = ("solid", "dash", "dot", "dashdot", "longdash", "longdashdot", "5px 2px")
SYMBOLS = ("circle", "square", "diamond", "triangle-up", "x", "cross", "star")

MOST = len(COLOURS)
"""Rows that can be told apart in a figure."""

Trace = dict[str, Any]


@dataclass(frozen=True)
class Plot:
    """One figure.

    Attributes:
        title: A line above it.
        caption: What a reader must know to read it.
        data: Traces of plotly.js.
        layout: Its layout, less fonts and colours of the page.
        height: px.
    """

    title: str
    caption: str
    data: list[Trace]
    layout: dict[str, Any] = field(default_factory=dict)
    height: int = 420


def series(number: int, name: str) -> Trace:
    """A scatter trace with the colour, dash and symbol of its number."""
    colour = COLOURS[number % len(COLOURS)]
    return {
        "type": "scatter",
        "name": name,
        "line": {"color": colour, "dash": DASHES[number % len(DASHES)], "width": 2},
        "marker": {"symbol": SYMBOLS[number % len(SYMBOLS)], "size": 9, "color": colour},
    }


def first_of(rows: Sequence[object]) -> str:
    """What to say where not all rows are drawn."""
    return f" The first {MOST} of {len(rows)} rows." if len(rows) > MOST else ""
