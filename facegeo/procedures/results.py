"""What a training or an evaluation leaves: numbers for programs, tables for people."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from rich.console import Console

from facegeo.tables import Table
from facegeo.whole_file import write_whole

METRICS = "metrics.json"


def keep_table(folder: Path, name: str, table: Table, console: Console) -> None:
    """Show a table and write it as ``name``.md and .csv."""
    (folder / f"{name}.md").write_text(table.markdown())
    (folder / f"{name}.csv").write_text(table.csv())
    console.print(table.rich())


def keep_metrics(folder: Path, results: Mapping[str, float], console: Console) -> None:
    """Write all numbers, also those of other splits measured before; say where everything lies."""
    file = folder / METRICS
    before = json.loads(file.read_text()) if file.is_file() else {}
    write_whole(file, json.dumps(before | dict(results), indent=2))
    console.print(f"Numbers, tables and pictures: {folder}")
