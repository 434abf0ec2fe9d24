"""The progress bars of all commands but training, which shows Lightning's."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TimeRemainingColumn

Bar = Callable[[str, int, int], None]
"""Called with a title, how much is done, and how much there is (0: unknown)."""
Item = TypeVar("Item")


@contextmanager
def bars(*, show: bool = True) -> Iterator[Bar]:
    """Yield what moves the bars: on the error stream, gone at the end, never in files or pipes."""
    console, known = Console(stderr=True), dict[str, TaskID]()
    columns = ("{task.description}", BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    hidden = not (show and console.is_terminal)
    with Progress(*columns, console=console, transient=True, disable=hidden) as progress:

        def move(title: str, done: int, total: int) -> None:
            if title not in known:
                known[title] = progress.add_task(title)
            progress.update(known[title], completed=done, total=total or None)

        yield move


def track(
    items: Iterable[Item], title: str, total: int, *, done: int = 0, show: bool = True
) -> Iterator[Item]:
    """Yield items under a bar.

    Args:
        items: What is worked on.
        title: Says what happens to them.
        total: How many there are, with those done before.
        done: How many were done before.
        show: Whether to show a bar at all.
    """
    with bars(show=show) as move:
        move(title, done, total)
        for number, item in enumerate(items, done + 1):
            yield item
            move(title, number, total)
