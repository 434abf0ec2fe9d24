"""Results of a run: numbers, tables, and weights that runs share."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console

from facegeo.files.tables import Table
from facegeo.files.writing import locked, write_whole

METRICS = "metrics.json"


def keep_table(folder: Path, name: str, table: Table, console: Console) -> None:
    """Show a table and write it as ``name``.md and .csv."""
    write_whole(folder / f"{name}.md", table.markdown())
    write_whole(folder / f"{name}.csv", table.csv())
    console.print(table.rich())


def keep_metrics(folder: Path, results: Mapping[str, float], console: Console) -> None:
    """Add numbers to ``metrics.json`` and print the folder."""
    file = folder / METRICS
    before = json.loads(file.read_text()) if file.is_file() else {}
    write_whole(file, json.dumps(before | dict(results), indent=2))
    console.print(f"Numbers, tables and pictures: {folder}")


log = logging.getLogger(__name__)


class SharedWeights:
    """Weights of parts (stages, a generator), by a key of everything that shapes them.

    Args:
        folder: Holds them.
        keys: Key of each part.
    """

    def __init__(self, folder: Path, keys: Mapping[str, str]) -> None:
        self.folder, self.keys = folder, dict(keys)
        self.taken: dict[str, str] = {}

    @contextmanager
    def reserved(self, part: str, own: Path) -> Iterator[None]:
        """Reserve a part; ``own`` is filled if another run has trained it.

        Waits while another run trains the same part. Weights that are trained inside the block are
        kept for others.

        Args:
            part: Its name.
            own: The run's file of the part's weights.
        """
        kept = self.folder / f"{self.keys[part]}.safetensors"
        # A process that waits logs the lock's name, so it begins with the part's.
        with locked(kept.with_name(f"{part}-{kept.stem}.lock"), wait=True):
            if kept.is_file() and not own.is_file():
                log.info("%s was trained by another run of a study: taken from %s", part, kept)
                write_whole(own, kept.read_bytes())
                self.taken[part] = self.keys[part]
            had = own.is_file()
            yield
            if own.is_file() and not had and not kept.is_file():  # trained inside the block
                write_whole(kept, own.read_bytes())
