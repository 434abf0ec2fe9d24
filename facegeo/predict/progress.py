"""Bars on the terminal: one for all photos, one for each video."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)

Bar = Callable[[str, int, int], None]
"""Told what is worked on, how much of it is done, and how much there is (0: not known)."""


@contextmanager
def bars() -> Iterator[Bar]:
    """Yield what moves the bars; they vanish at the end, and are not drawn into files or pipes."""
    console, known = Console(stderr=True), dict[str, TaskID]()
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    hidden = not console.is_terminal
    with Progress(*columns, console=console, transient=True, disable=hidden) as progress:

        def move(title: str, done: int, total: int) -> None:
            if title not in known:
                known[title] = progress.add_task(title)
            progress.update(known[title], completed=done, total=total or None)

        yield move
