"""One case: rows in order, ratios to the first, outputs compared."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from facegeo.bench import timing
from facegeo.bench.case import Case
from facegeo.bench.onnx_session import session
from facegeo.bench.timing import Candidate, Timing

ONCE = Timing(seconds=0, least=1, warm_up=0)


def test_ratios_are_to_the_first(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setitem(timing.CLOCKS, "fake", lambda: now[0])

    def work(seconds: float) -> None:
        now[0] += seconds

    calls = {"slow": 0.4, "fast": 0.1}
    candidates = [
        Candidate(name, lambda s=s: work(s), items=4, compared=False) for name, s in calls.items()
    ]
    case = Case("group", "case", candidates)
    first, second = case.measure(Timing(seconds=0, least=3, clock="fake"))
    assert (first.key, second.key) == (("group", "case", "slow"), ("group", "case", "fast"))
    assert (first.faster, second.faster) == (1.0, pytest.approx(4.0))
    assert second.median_ms == pytest.approx(100)
    assert second.cells()[3] == pytest.approx(25)  # a share of the call
    assert second.cells()[5] == pytest.approx(40)  # a second


def test_a_note_tells_how_much_is_computed_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setitem(timing.CLOCKS, "fake", lambda: now[0])

    def work() -> None:
        now[0] += 0.5

    candidates = [Candidate("a", work, compared=False, macs=2e9, note="half a second")]
    (row,) = Case("group", "case", candidates).measure(Timing(seconds=0, clock="fake"))
    assert row.note == "half a second; 8 GFLOP/s"


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


def test_one_with_fewer_outputs_is_no_candidate() -> None:
    one = torch.zeros(1)
    candidates = [Candidate("two", lambda: [one, one]), Candidate("one", lambda: [one])]
    with pytest.raises(ValueError, match="zip"):
        Case("group", "case", candidates).measure(ONCE)


def test_a_case_computes_on_as_many_cores_as_it_says() -> None:
    seen: list[int] = []
    candidates = [Candidate("a", lambda: seen.append(torch.get_num_threads()), compared=False)]
    for threads in (1, 3):
        Case("group", "case", candidates, threads=threads).measure(ONCE)
    assert set(seen[: len(seen) // 2]) == {1}
    assert set(seen[len(seen) // 2 :]) == {3}


def test_onnx_runtime_computes_on_as_many_cores_as_it_is_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    told: list[int] = []

    def start(file: bytes, options: Any, providers: list[str]) -> SimpleNamespace:  # noqa: ANN401
        told.append(options.intra_op_num_threads)
        return SimpleNamespace(get_inputs=list)

    monkeypatch.setattr(onnxruntime, "InferenceSession", start)
    session(b"", 1)
    session(b"", 3)
    assert told == [1, 3]
