"""Whole trainings that log to W&B, offline."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import wandb
from omegaconf import DictConfig

from facegeo.runs.train import run
from facegeo.runs.wandb import from_config, from_summary
from facegeo.studies.runs import StudyRun, read_folder

LOGGED = ["logger=wandb", "wandb.mode=offline", "study=s", "procedure.progress=false"]

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def _service_ended() -> Iterator[None]:
    yield
    wandb.teardown()  # takes its address out of the environment


def jobs(config: Callable[..., DictConfig], out: Path) -> tuple[StudyRun, ...]:
    """Two trainings and one that fails while it trains."""
    for seed in (0, 1):
        run(config(*LOGGED, f"out={out}", f"name={seed}", f"seed={seed}"))
    with pytest.raises(TypeError, match="input_lengths"):
        run(config(*LOGGED, f"out={out}", "name=2", "task.loss._target_=torch.nn.CTCLoss"))
    return read_folder(out / "s").runs


def inspect(folder: Path, *options: str) -> str:
    """JSON from the file of a job's only W&B run."""
    (file,) = folder.rglob("run-*.wandb")
    command = [sys.executable, "-m", "wandb", "leet", "inspect", *options, "--json", str(file)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def history(folder: Path) -> list[dict[str, Any]]:
    """Points of the curves of a job's only W&B run."""
    lines = inspect(folder).splitlines()
    records = [json.loads(line) for line in lines]
    return [record["history"]["item"] for record in records if record["type"] == "history"]


def test_wandb_keeps_what_the_folders_say(
    tiny_config: Callable[..., DictConfig], tmp_path: Path
) -> None:
    in_folders = jobs(tiny_config, tmp_path)
    assert sorted(run.status for run in in_folders) == ["done", "done", "failed"]
    for job in in_folders:
        assert job.folder is not None
        kept = json.loads(inspect(job.folder, "--summary"))
        config = from_config(kept["config"])
        assert config.pop("record") == job.record
        assert config == job.config
        assert from_summary(kept["summary"]) == job.metrics
    points = history(tmp_path / "s" / "0")
    for stage, length in [("stage1", 12), ("stage2", 10), ("stage3", 8)]:
        batches = [p[f"{stage}/batch"] for p in points if f"{stage}/train/loss" in p]
        assert batches == list(range(length))
        assert any(f"{stage}/val/error_pct" in point for point in points)
    assert sorted(p.name for p in (tmp_path / "s" / "0" / "curves").iterdir()) == [
        f"version_{n}" for n in range(3)
    ]
