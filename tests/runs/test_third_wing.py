"""A wing that facegeo does not know trains, reports and sweeps; nothing of runs is edited."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

CONFIGS = {
    "data": "_target_: depth_wing.DepthData",
    "model": "{_target_: depth_wing.DepthNet, kernel: 1}",
    "task": """
_target_: depth_wing.DepthTask
_partial_: true
optimizer: {_target_: torch.optim.Adam, _partial_: true, lr: 0.1}
""",
    "procedure": "{_target_: depth_wing.fit_depth, _partial_: true, steps: 20}",
    "experiment": """
# @package _global_
defaults:
  - override /data: depth
  - override /model: depth
  - override /task: depth
  - override /procedure: depth
trainer: {accelerator: cpu, enable_progress_bar: false}
about: {question: "Does a larger kernel help?", rows: [depth], measure: rmse}
""",
}


@pytest.fixture
def train(tmp_path: Path) -> "subprocess.CompletedProcess[str]":
    """A sweep of ``facegeo-train`` over the wing's kernel and seed."""
    for group, text in CONFIGS.items():
        file = tmp_path / "conf" / group / "depth.yaml"
        file.parent.mkdir(parents=True)
        file.write_text(text.lstrip())
    here = os.pathsep.join([str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")])
    words = ["--config-dir", str(tmp_path / "conf"), "-m", "experiment=depth", "model.kernel=1,3"]
    return subprocess.run(
        [Path(sys.executable).with_name("facegeo-train"), *words, "seed=0,1", "study=kernel"],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": here},
        capture_output=True,
        text=True,
    )


def test_a_third_wing_trains_and_sweeps(
    train: "subprocess.CompletedProcess[str]", tmp_path: Path
) -> None:
    assert train.returncode == 0, train.stderr
    assert "4 jobs: 4 done" in train.stdout
    study = tmp_path / "runs" / "kernel"
    for folder in study.glob("depth-*"):
        assert 0 < json.loads((folder / "metrics.json").read_text())["test/depth/rmse"] < 0.3
        record = json.loads((folder / "record.json").read_text())
        assert record["cost"]["depth"]["parameters"] in (4, 28)
    table = (study / "report.csv").read_text()
    assert "kernel=3" in table
    assert "rmse" in table
