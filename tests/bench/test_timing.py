"""Candidates take turns, and what is set for a measurement is put back after it."""

import cv2
import pytest
import torch

from facegeo.bench import timing
from facegeo.bench.timing import Candidate, Timing, cpu_threads, quantile_ms


def test_candidates_take_turns_after_a_warm_up() -> None:
    calls: list[str] = []
    candidates = [Candidate(name, lambda name=name: calls.append(name)) for name in ("a", "b")]
    found = Timing(seconds=0, least=3, warm_up=2).measure(candidates)
    assert calls == [*"aabb", *"aabb" * 3]  # short: each of the last is timed
    assert {name: len(times) for name, times in found.items()} == {"a": 3, "b": 3}


def test_long_calls_are_not_made_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    now, calls = [0.0], []
    monkeypatch.setattr(timing.time, "perf_counter", lambda: now[0])

    def work(name: str, seconds: float) -> None:
        calls.append(name)
        now[0] += seconds

    lengths = {"a": 2 * timing.SHORT, "b": timing.SHORT / 2}
    candidates = [Candidate(name, lambda n=name: work(n, lengths[n])) for name in lengths]
    rounds = len(Timing(seconds=10 * timing.SHORT, least=1, warm_up=1).measure(candidates)["b"])
    assert rounds == 3  # of 3 SHORT each
    assert calls == [*"ab", *"abb" * rounds]


def test_a_case_lasts_as_long_as_asked_for_and_is_never_endless(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = [0.0]
    monkeypatch.setattr(timing.time, "perf_counter", lambda: now[0])

    def work() -> None:
        now[0] += 0.5

    candidates = [Candidate("a", work), Candidate("b", work)]
    assert len(Timing(seconds=10, warm_up=1).measure(candidates)["b"]) == 10
    assert len(Timing(seconds=0, least=4, warm_up=1).measure(candidates)["b"]) == 4
    assert len(Timing(seconds=1e6, warm_up=1).measure(candidates)["b"]) == timing.MOST_ROUNDS


def test_each_calls_own_time_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setitem(timing.CLOCKS, "fake", lambda: now[0])

    def advance(by: float) -> None:
        now[0] += by

    candidates = [Candidate("a", lambda: advance(2)), Candidate("b", lambda: advance(3))]
    found = Timing(seconds=0, least=2, clock="fake").measure(candidates)
    assert found == {"a": [2, 2], "b": [3, 3]}


def test_quantiles_in_ms() -> None:
    assert quantile_ms([0.001, 0.002, 0.009], 0.5) == pytest.approx(2)
    assert quantile_ms([0.0, 1.0], 0.95) == pytest.approx(950)


def test_threads_are_put_back_whatever_happens() -> None:
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


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_gpus_work_is_waited_for() -> None:
    matrix = torch.rand(4096, 4096, device="cuda")
    work = [
        Candidate("small", lambda: matrix[:64] @ matrix),
        Candidate("all", lambda: matrix @ matrix),
    ]
    found = Timing(seconds=0).measure(work, "cuda")
    assert min(found["all"]) > 0
    assert quantile_ms(found["all"], 0.5) > quantile_ms(found["small"], 0.5)
