"""The figures of a report's page: data for its script, pictures as part of the file."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from html import escape

from facegeo.studies.comparison import Comparison
from facegeo.studies.pictures import pictures
from facegeo.studies.plot import Plot


def plot_html(plot: Plot, slug: str) -> str:
    """A plot, drawn by the script of the page where it has the id ``slug``."""
    drawn = {"data": plot.data, "layout": plot.layout | {"height": plot.height}}
    values = json.dumps(_finite(drawn), allow_nan=False)
    values = values.replace("<", r"\u003c")  # what ends a script can not stand in it
    return (
        f"<figure><figcaption><b>{escape(plot.title)}</b><small>{escape(plot.caption)}</small>"
        f'</figcaption><div class="plot" id="{slug}" role="img" aria-label="{escape(plot.title)}" '
        f'style="min-height:{plot.height}px"></div>'
        f'<script type="application/json">{values}</script></figure>'
    )


def pictures_html(comparison: Comparison) -> str:
    """A picture a variant; nothing if there is none."""
    figures = [
        f"<figure><figcaption><b>{escape(one.name)}</b>"
        f"<small>seed {escape(str(one.seed))}</small></figcaption>"
        f'<div class="panel" tabindex="0"><img src="{one.uri}" width="{one.width}" '
        f'height="{one.height}" alt="Faces of the {escape(comparison.split)} split and what '
        f'{escape(one.name)} finds in them"></div></figure>'
        for one in pictures(comparison)
    ]
    return f"<h3>Pictures</h3>{''.join(figures)}" if figures else ""


def _finite(node: object) -> object:
    """Values with null for NaN and infinity, which JSON has not."""
    if isinstance(node, Mapping):
        return {key: _finite(value) for key, value in node.items()}
    if isinstance(node, list | tuple):
        return [_finite(value) for value in node]
    return None if isinstance(node, float) and not math.isfinite(node) else node
