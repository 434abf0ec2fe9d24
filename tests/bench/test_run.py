"""What is measured: groups, devices and threads asked for; mistakes told before any work."""

from dataclasses import replace

import pytest
import torch

from facegeo.bench import run
from facegeo.bench.machine import machine
from facegeo.bench.report import Row
from facegeo.bench.run import Settings, run_bench
from facegeo.bench.timing import Timing
from facegeo.errors import UserError

SETTINGS = Settings(["casfne"], "cpu", [1], [1], Timing(), {})


def test_groups_run_in_the_order_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in run.GROUPS:
        monkeypatch.setitem(
            run.GROUP_ROWS, name, lambda settings, missing, n=name: [[Row(n, "", "", 1, 1.0)]]
        )
    report = run_bench(replace(SETTINGS, only=["rendering", "ccnn"]))
    assert [row.group for row in report.rows] == ["rendering", "ccnn"]
    assert report.settings["clock"] == "wall"
    assert report.machine["torch"] == torch.__version__


def test_what_onnx_needs_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "has_onnx", lambda: False)
    monkeypatch.setitem(run.GROUP_ROWS, "ccnn", lambda settings, missing: [])
    report = run_bench(replace(SETTINGS, only=["ccnn"]))
    assert report.missing == [run.MISSING]


def test_no_number_of_threads_is_measured_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "cores", lambda: 4)
    assert replace(SETTINGS, threads=[1, 4, 0]).counts == [1, 4]


def test_auto_takes_a_gpu_in_if_there_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    both = replace(SETTINGS, device="auto")
    for there, devices in ((True, ["cpu", "cuda"]), (False, ["cpu"])):
        monkeypatch.setattr(torch.cuda, "is_available", lambda there=there: there)
        assert both.devices == devices
    assert SETTINGS.devices == ["cpu"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"only": ["ccn"]}, r"only must be of ccnn, casfne, training, rendering; got \['ccn'\]"),
        ({"only": []}, "only must be of"),
        ({"device": "gpu"}, "device must be of auto, cpu, cuda"),
        ({"timing": Timing(clock="sun")}, "clock must be of wall, cpu"),
        ({"threads": [-1]}, r"threads must be whole numbers of at least 0, got \[-1\]"),
        ({"batches": [0]}, r"batches must be whole numbers of at least 1, got \[0\]"),
        ({"batches": []}, "batches must be"),
        ({"threads": 2}, r"threads must be a list, such as threads=\[2\]; got 2"),
        ({"only": "ccnn"}, r"only must be a list, such as only=\[ccnn\]; got ccnn"),
        ({"timing": Timing(seconds=-1)}, "seconds must be .* 0, got -1"),
        ({"timing": Timing(seconds=float("nan"))}, "seconds must be .*, got nan"),
        ({"groups": {"casfne": 5}}, "casfne must hold keys of its own, got 5"),
        ({"groups": {"casfne": {"compile": "no"}}}, "casfne.compile must be true or false, got no"),
        ({"groups": {"training": {"steps": 0}}}, "training.steps must be .*, got 0"),
        ({"groups": {"casfne": {"size": 40}}}, "casfne.size must be a multiple of 32 px, got 40"),
    ],
)
def test_mistakes_are_told(change: dict[str, object], message: str) -> None:
    with pytest.raises(UserError, match=message):
        run_bench(replace(SETTINGS, **change))  # type: ignore[arg-type]


def test_no_gpu_no_cuda(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(UserError, match="device=cuda needs a CUDA GPU"):
        run_bench(replace(SETTINGS, device="cuda"))


@pytest.mark.parametrize(
    ("group", "wanted"), [("casfne", "wanted a CasFNE"), ("training", "wanted a cascade")]
)
def test_another_model_is_refused(group: str, wanted: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "load_model", lambda name: (torch.nn.Identity(), {}))
    groups = {"casfne": {"model": "x"}, "ccnn": {"model": "x"}, "training": {}}
    settings = replace(SETTINGS, only=[group], groups=groups)
    with pytest.raises(UserError, match=f"{wanted}"):
        run_bench(settings)


def test_a_report_names_the_instructions_that_pytorch_is_held_to(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", "AVX2")
    monkeypatch.delenv("ATEN_CPU_CAPABILITY", raising=False)
    found = machine()
    assert found["ONEDNN_MAX_CPU_ISA"] == "AVX2"
    assert "ATEN_CPU_CAPABILITY" not in found
