"""Rendering: generated faces a second, one process."""

from __future__ import annotations

import time
from collections.abc import Iterator

from facegeo.bench.report import Row
from facegeo.bench.timing import CLOCKS, quantile_ms
from facegeo.rendering.folders import LandmarkFolder, PhotofaceFolder
from facegeo.rendering.order import Layout, LayoutName, Order, Task
from facegeo.rendering.studio import Studio

GROUP = "rendering"
HEAD = "anny"
LAYOUTS: dict[LayoutName, tuple[type[Layout], int]] = {  # and the pictures of one task
    "landmarks": (LandmarkFolder, 1),
    "photoface": (PhotofaceFolder, 4),
}


def rendering_rows(size: int, tasks: int, clock: str, device: str) -> Iterator[list[Row]]:
    """Render faces and sessions, encoded but not written.

    Args:
        size: Side of a picture, px.
        tasks: Faces, and sessions of four photographs, that are timed.
        clock: A key of ``CLOCKS``.
        device: "cpu" or "cuda".
    """
    begin = time.perf_counter()
    studio = Studio(HEAD, device=device)
    started = time.perf_counter() - begin
    for name, (kind, pictures) in LAYOUTS.items():
        order = Order(train=tasks, test=0, size=size, seed=0, maps=False, layout=name)
        layout, seconds = kind(), []
        layout.make(studio, order, Task("test", 0))
        for number in range(tasks):
            begin = CLOCKS[clock]()
            layout.make(studio, order, Task("train", number))
            seconds.append(CLOCKS[clock]() - begin)
        yield [
            Row(
                group=GROUP,
                case=f"{name}, {size} px, 1 process, {device}",
                name="facegeo-render",
                items=pictures,
                median_ms=quantile_ms(seconds, 0.5),
                p95_ms=quantile_ms(seconds, 0.95),
                low_ms=quantile_ms(seconds, 0.25),
                high_ms=quantile_ms(seconds, 0.75),
                rounds=tasks,
                note=f"started in {started:.0f} s",
            )
        ]
