"""What a job takes of a machine that it shares with others of its sweep."""

from collections.abc import Callable, Iterator

import pytest
import torch
from hydra import compose, initialize_config_dir
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, open_dict

from facegeo.files.shipped import conf_dir
from facegeo.runs.sweep import _share_machine

Job = Callable[..., DictConfig]


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[int]]:
    """Eight processors and two GPUs; what a job asks of torch."""
    asked: dict[str, list[int]] = {"threads": [], "gpu": []}
    monkeypatch.setattr("os.cpu_count", lambda: 8)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 8)
    monkeypatch.setattr(torch, "set_num_threads", asked["threads"].append)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "set_device", asked["gpu"].append)
    return asked


@pytest.fixture
def job() -> Iterator[Job]:
    """The configuration of a job, by its number and how many run at a time."""

    def begin(number: int, together: int | None) -> DictConfig:
        with initialize_config_dir(str(conf_dir()), version_base="1.3"):
            cfg = compose("train", [f"hydra.job.num={number}"], return_hydra_config=True)
        with open_dict(cfg):
            cfg.hydra.launcher = {} if together is None else {"n_jobs": together}
        HydraConfig.instance().set_config(cfg)
        return cfg

    yield begin
    HydraConfig.instance().cfg = None


@pytest.mark.parametrize(
    ("together", "threads"), [(2, 4), (3, 2), (8, 1), (20, 1), (-1, 1)], ids=str
)
def test_processors_are_shared_out(
    machine: dict[str, list[int]], job: Job, together: int, threads: int
) -> None:
    cfg = job(0, together)
    assert cfg.trainer.enable_progress_bar
    _share_machine(cfg)
    assert machine["threads"] == [threads]
    assert not cfg.trainer.enable_progress_bar


def test_fewer_threads_than_the_share_stay(
    machine: dict[str, list[int]], job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch, "get_num_threads", lambda: 1)
    _share_machine(job(0, 2))
    assert machine["threads"] == [1]


def test_gpus_are_taken_in_turn(machine: dict[str, list[int]], job: Job) -> None:
    assert [_share_machine(job(number, 4)) for number in range(5)] == [0, 1, 0, 1, 0]
    assert machine["gpu"] == [0, 1, 0, 1, 0]


@pytest.mark.parametrize("gpus", [0, 1])
def test_one_gpu_is_shared_by_all(
    machine: dict[str, list[int]], job: Job, monkeypatch: pytest.MonkeyPatch, gpus: int
) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: gpus)
    assert _share_machine(job(3, 2)) is None
    assert machine == {"threads": [4], "gpu": []}


@pytest.mark.parametrize(("together", "processors"), [(None, 8), (1, 8), (-1, 1)])
def test_single_job_uses_all_processors(
    machine: dict[str, list[int]],
    job: Job,
    monkeypatch: pytest.MonkeyPatch,
    together: int | None,
    processors: int,
) -> None:
    monkeypatch.setattr("os.cpu_count", lambda: processors)
    cfg = job(1, together)
    assert _share_machine(cfg) is None
    assert machine == {"threads": [], "gpu": []}
    assert cfg.trainer.enable_progress_bar
