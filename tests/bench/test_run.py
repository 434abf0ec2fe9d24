"""The measured groups, devices and threads; settings and models are checked before any work."""

from typing import Any

import pytest
import torch
import yaml
from pydantic import ValidationError

from facegeo.bench import run
from facegeo.bench.report import Row
from facegeo.bench.run import Settings, run_bench
from facegeo.errors import UserError, mistaken_values
from facegeo.files.shipped import conf_dir


def settings(**changes: object) -> Settings:
    """Those of ``conf/bench.yaml`` but for some."""
    values: dict[str, Any] = yaml.safe_load((conf_dir() / "bench.yaml").read_text())
    del values["defaults"]
    return Settings.of(values | {"device": "cpu"} | changes)


def test_groups_run_in_the_wanted_order(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in run.GROUPS:
        monkeypatch.setitem(
            run.GROUPS, name, lambda settings, missing, n=name: [[Row(n, "", "", 1, 1.0)]]
        )
    report = run_bench(settings(only=["rendering", "ccnn"]))
    assert [row.group for row in report.rows] == ["rendering", "ccnn"]
    assert [*report.settings] == ["clock", "seconds", "ccnn", "casfne", "training", "rendering"]
    assert report.settings["rendering"] == {"size": 160, "tasks": 6}
    assert report.machine["torch"] == torch.__version__


def test_missing_onnx_is_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "has_onnx", lambda: False)
    monkeypatch.setitem(run.GROUPS, "ccnn", lambda settings, missing: [])
    assert run_bench(settings(only=["ccnn"])).missing == [run.MISSING]


def test_no_number_of_threads_is_measured_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "cores", lambda: 4)
    assert settings(threads=[1, 4, 0]).counts == [1, 4]


def test_auto_includes_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    for there, devices in ((True, ["cpu", "cuda"]), (False, ["cpu"])):
        monkeypatch.setattr(torch.cuda, "is_available", lambda there=there: there)
        assert settings(device="auto").devices == devices
    assert settings().devices == ["cpu"]


def test_every_error_is_named_with_its_value(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    mistakes = {
        **{"only": ["ccn"], "device": "gpu", "clock": "sun", "threads": [-1], "batches": []},
        **{"seconds": float("nan"), "rendering": 5, "ccnn": {"model": "x", "size": 3}},
        **{"casfne": {"model": None, "size": 40, "cpu_batch": 0, "compile": "no"}},
    }
    with pytest.raises(ValidationError) as caught:
        settings(**mistakes)
    text = mistaken_values(caught.value.errors())
    for part in (
        *("only[0] must be 'ccnn'", "got 'ccn'; ", "device must be 'auto'", "got 'sun'"),
        *("threads[0] must be greater than or equal to 0, got -1", "batches must have at least 1"),
        *("seconds must be a finite number, got nan", "rendering must be {KEY: VALUE}, got 5"),
        *("there is no key ccnn.size", "casfne.size must be a multiple of 32, got 40"),
        *("casfne.cpu_batch must be greater than 0", "casfne.compile must be true or false"),
    ):
        assert part in text
    with pytest.raises(ValidationError, match="device=cuda needs a CUDA GPU"):
        settings(device="cuda")


@pytest.mark.parametrize("group", ["casfne", "training"])
def test_another_model_is_refused(group: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "load_model", lambda name: (torch.nn.Identity(), {}))
    own = {"model": "x", "size": 32, "cpu_batch": 8, "compile": False}
    with pytest.raises(UserError, match=r"model=.* finds something else, wanted a model of"):
        run_bench(settings(only=[group], casfne=own))


def test_a_row_for_each_rendered_layout(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[str] = []
    for name, (kind, _) in run.LAYOUTS.items():
        monkeypatch.setattr(
            kind, "make", lambda self, studio, order, task, n=name: made.append(f"{n} {order.size}")
        )
    monkeypatch.setattr(run, "Studio", lambda head, device: None)
    wanted = settings(rendering={"size": 64, "tasks": 3})
    (faces,), (sessions,) = run.GROUPS["rendering"](wanted, [])
    assert made == ["landmarks 64"] * 4 + ["photoface 64"] * 4  # the first warms up
    assert (faces.items, sessions.items) == (1, 4)
    assert (faces.rounds, sessions.rounds) == (3, 3)


@pytest.mark.slow
def test_faces_are_rendered() -> None:
    wanted = settings(rendering={"size": 32, "tasks": 1})
    (faces,), (sessions,) = run.GROUPS["rendering"](wanted, [])
    assert faces.median_ms > 0
    assert sessions.median_ms > 0
