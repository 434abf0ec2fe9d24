"""Candidates take turns; rows are in order, ratios to the first, outputs compared."""

from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest
import torch

from facegeo.bench import timing
from facegeo.bench.peers import session
from facegeo.bench.timing import Candidate, Case, Timing, cpu_threads, quartiles

ONCE = Timing(seconds=0, least=1, warm_up=0)


class Clock:
    """A clock that only work moves on."""

    def __init__(self) -> None:
        self.now, self.calls = 0.0, list[str]()

    def __call__(self) -> float:
        return self.now

    def work(self, name: str, seconds: float) -> None:
        self.calls.append(name)
        self.now += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(timing, "timer", made)
    monkeypatch.setitem(timing.CLOCKS, "fake", made)
    return made


def test_candidates_take_turns_after_a_warm_up(clock: Clock) -> None:
    calls = [lambda n=name, s=s: clock.work(n, s) for name, s in (("a", 0.02), ("b", 0.03))]
    found = Timing(seconds=0, least=3, warm_up=2).in_turn(calls, clock)
    assert clock.calls == [*"aabb", *"aabb" * 3]  # short: the last of each pair is timed
    np.testing.assert_allclose(found, [[0.02] * 3, [0.03] * 3])


def test_long_calls_are_not_made_twice(clock: Clock) -> None:
    lengths = {"a": 2 * timing.SHORT, "b": timing.SHORT / 2}
    calls = [lambda n=name: clock.work(n, lengths[n]) for name in lengths]
    rounds = len(Timing(seconds=10 * timing.SHORT, least=1, warm_up=1).in_turn(calls, clock)[1])
    assert rounds == 3  # of 3 SHORT each
    assert clock.calls == [*"ab", *"abb" * rounds]


@pytest.mark.parametrize(
    ("seconds", "rounds"), [(10, 10), (0, 4), (1e6, timing.MOST_ROUNDS)], ids=str
)
def test_a_case_takes_the_wanted_seconds_within_bounds(
    clock: Clock, seconds: float, rounds: int
) -> None:
    calls = [lambda: clock.work("a", 0.5)] * 2
    assert len(Timing(seconds, least=4, warm_up=1).in_turn(calls, clock)[0]) == rounds


def test_quartiles_in_ms() -> None:
    found = quartiles([0.0, 0.001, 0.002, 0.003, 0.004])
    wanted = {"low_ms": 1.0, "median_ms": 2.0, "high_ms": 3.0, "p95_ms": 3.8, "rounds": 5}
    assert found == pytest.approx(wanted)


def test_threads_are_restored_after_an_error() -> None:
    before = torch.get_num_threads()
    cv2.setNumThreads(3)
    inside: list[int] = []

    def fail() -> None:
        with cpu_threads(before + 1):
            inside.extend((torch.get_num_threads(), cv2.getNumThreads()))
            raise KeyError("mistake")

    with pytest.raises(KeyError, match="mistake"):
        fail()
    assert inside == [before + 1, before + 1]
    assert (torch.get_num_threads(), cv2.getNumThreads()) == (before, 3)


def test_rows_have_ratios_to_the_first_and_the_rate_of_computing(clock: Clock) -> None:
    def candidate(name: str, seconds: float, macs: float = 0.0, note: str = "") -> Candidate:
        call = lambda: clock.work(name, seconds)  # noqa: E731
        return Candidate(name, call, items=4, compared=False, macs=macs, note=note)

    candidates = [candidate("slow", 0.4), candidate("fast", 0.1, 2e9, "a note")]
    timed = Timing(seconds=0, least=3, clock="fake")
    first, second = Case("group", "case", candidates).measure(timed)
    assert (first.key, second.key) == (("group", "case", "slow"), ("group", "case", "fast"))
    assert (first.faster, second.faster) == (1.0, pytest.approx(4.0))
    assert second.median_ms == pytest.approx(100)
    assert second.cells()[3] == pytest.approx(25)  # a share of the call
    assert second.cells()[5] == pytest.approx(40)  # a second
    assert (first.note, second.note) == ("", "a note; 40 GFLOP/s")


def test_outputs_are_compared_with_the_first_that_is_compared() -> None:
    one = torch.tensor([1.0, 2.0])
    candidates = [
        Candidate("other work", lambda: None, compared=False),
        Candidate("first", lambda: (one, [one])),
        Candidate("same", lambda: [np.array([1.0, 2.0]), one]),
        Candidate("far", lambda: [one, one + torch.tensor([0.0, 0.5])]),
    ]
    rows = Case("group", "case", candidates).measure(ONCE)
    assert [row.differs for row in rows] == [None, None, 0.0, 0.5]


def test_candidates_need_equally_many_outputs() -> None:
    one = torch.zeros(1)
    candidates = [Candidate("two", lambda: [one, one]), Candidate("one", lambda: [one])]
    with pytest.raises(ValueError, match="zip"):
        Case("group", "case", candidates).measure(ONCE)


def test_a_case_computes_on_its_number_of_cores() -> None:
    for threads in (1, 3):
        seen: list[int] = []
        call = lambda seen=seen: seen.append(torch.get_num_threads())  # noqa: E731
        Case("group", "case", [Candidate("a", call, compared=False)], threads=threads).measure(ONCE)
        assert set(seen) == {threads}


def test_onnx_runtime_computes_on_its_number_of_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    seen: list[int] = []

    def start(file: bytes, options: Any, providers: list[str]) -> SimpleNamespace:  # noqa: ANN401
        seen.append(options.intra_op_num_threads)
        return SimpleNamespace(get_inputs=list)

    monkeypatch.setattr(onnxruntime, "InferenceSession", start)
    session(b"", 1)
    session(b"", 3)
    assert seen == [1, 3]


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_the_work_of_a_gpu_is_waited_for() -> None:
    matrix = torch.rand(4096, 4096, device="cuda")
    calls = [lambda: matrix[:64] @ matrix, lambda: matrix @ matrix]
    small, large = Timing(seconds=0).in_turn(calls, timing.CLOCKS["wall"])
    assert 0 < np.median(small) < np.median(large)
