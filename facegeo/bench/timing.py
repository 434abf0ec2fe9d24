"""Time candidates for the same work in turn, so that other work of the machine hits all alike."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch.utils.benchmark import timer

from facegeo.bench.report import Row

CLOCKS = {"wall": timer, "cpu": time.process_time}
"""``wall``: the time that a user waits, of a GPU's work too. ``cpu``: the time that the process
computes, for a busy machine."""
MOST_ROUNDS = 300
SHORT = 0.1
"""Calls shorter than this, s, are made once more before each that is timed: the candidates before
them have emptied the processor's caches, which would be half the time of a fraction of a ms."""


@dataclass(frozen=True)
class Candidate:
    """One way to do the work.

    Attributes:
        name: As the table shows it.
        call: Does it once; returns its outputs.
        items: Faces, images or samples of one call.
        compared: Whether its outputs are compared with those of the first compared candidate.
        macs: Multiplications of one call as the published network does them; 0: not reported.
        note: For readers of its row.
    """

    name: str
    call: Callable[[], object]
    items: int = 1
    compared: bool = True
    macs: float = 0.0
    note: str = ""


@dataclass(frozen=True)
class Timing:
    """How measurements are made.

    Attributes:
        seconds: Length of a case, all its candidates together; slow ones take longer.
        clock: A key of ``CLOCKS``; on a CUDA device always the wall's.
        least: Rounds at least.
        warm_up: Calls of each candidate before the first round.
    """

    seconds: float = 3.0
    clock: str = "wall"
    least: int = 5
    warm_up: int = 2

    def in_turn(
        self, calls: Sequence[Callable[[], object]], clock: Callable[[], float]
    ) -> list[list[float]]:
        """Time every call once a round, round after round; return seconds, a list a call."""
        last = [([0.0] + [_once(call, timer) for _ in range(self.warm_up)])[-1] for call in calls]
        repeats = [1 + (seconds < SHORT) for seconds in last]
        length = sum(seconds * count for seconds, count in zip(last, repeats, strict=True))
        rounds = int(min(max(self.seconds / max(length, 1e-6), self.least), MOST_ROUNDS))
        found: list[list[float]] = [[] for _ in calls]
        for _ in range(rounds):
            for call, count, times in zip(calls, repeats, found, strict=True):
                times.append([_once(call, clock) for _ in range(count)][-1])
        return found


@dataclass(frozen=True)
class Case:
    """Candidates for the same work.

    Attributes:
        group: Such as "ccnn".
        name: Such as "1 face, 1 thread".
        candidates: The first is the one that the others are measured against.
        device: "cpu" or "cuda".
        threads: Cores that may compute.
    """

    group: str
    name: str
    candidates: Sequence[Candidate]
    device: str = "cpu"
    threads: int = 1

    def measure(self, timing: Timing) -> list[Row]:
        """Time and compare all candidates."""
        clock = CLOCKS["wall" if self.device == "cuda" else timing.clock]
        with cpu_threads(self.threads), torch.inference_mode():
            differs = self._differences()
            found = timing.in_turn([candidate.call for candidate in self.candidates], clock)
        first = float(np.median(found[0]))
        return [
            Row(
                *(self.group, self.name, candidate.name, candidate.items),
                **quartiles(seconds),
                faster=first / float(np.median(seconds)),
                differs=differs.get(candidate.name),
                note=_note(candidate, float(np.median(seconds))),
            )
            for candidate, seconds in zip(self.candidates, found, strict=True)
        ]

    def _differences(self) -> dict[str, float]:
        """Greatest difference to the first compared candidate of each other one, by name."""
        compared = [candidate for candidate in self.candidates if candidate.compared]
        if len(compared) < 2:
            return {}
        first, *others = compared
        wanted = list(_arrays(first.call()))
        return {
            other.name: max(
                float(np.abs(a - b).max())
                for a, b in zip(_arrays(other.call()), wanted, strict=True)
            )
            for other in others
        }


def quartiles(seconds: Sequence[float]) -> dict[str, Any]:
    """Times of a ``Row`` in ms, and how many there are, from those of single calls."""
    low, median, high, p95 = (np.quantile(seconds, [0.25, 0.5, 0.75, 0.95]) * 1e3).tolist()
    times = {"median_ms": median, "p95_ms": p95, "low_ms": low, "high_ms": high}
    return {**times, "rounds": len(seconds)}


@contextmanager
def cpu_threads(count: int) -> Iterator[None]:
    """Let PyTorch and OpenCV compute on so many cores for a while."""
    import cv2

    before, before_cv = torch.get_num_threads(), cv2.getNumThreads()
    torch.set_num_threads(count)
    cv2.setNumThreads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
        cv2.setNumThreads(before_cv)


def counted(count: int, noun: str) -> str:
    """Say "1 face", "2 faces".

    >>> counted(2, "thread")
    '2 threads'
    """
    return f"{count} {noun}{'s' * (count > 1)}"


def _once(call: Callable[[], object], clock: Callable[[], float]) -> float:
    begin = clock()
    call()
    return clock() - begin


def _note(candidate: Candidate, seconds: float) -> str:
    rate = 2 * candidate.macs / seconds / 1e9
    return "; ".join(filter(None, [candidate.note, f"{rate:,.0f} GFLOP/s" if rate else ""]))


def _arrays(found: object) -> Iterator[npt.NDArray[np.float64]]:
    """Numbers of an array, a tensor or a sequence of them."""
    if isinstance(found, torch.Tensor):
        yield found.float().cpu().double().numpy()
    elif isinstance(found, np.ndarray):
        yield found.astype(np.float64)
    elif isinstance(found, Iterable):
        for part in found:
            yield from _arrays(part)
