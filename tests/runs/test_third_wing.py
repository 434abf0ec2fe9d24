"""A wing that facegeo does not know trains, reports and sweeps; nothing of runs is edited."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
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


Run = Callable[..., str]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Run a command with the wing's configs, its package installed; return what it printed."""
    for group, text in CONFIGS.items():
        file = tmp_path / "conf" / group / "depth.yaml"
        file.parent.mkdir(parents=True)
        file.write_text(text.lstrip())
    info = tmp_path / "site" / "depth_wing-1.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: depth-wing\nVersion: 1\n")
    (info / "entry_points.txt").write_text("[facegeo.models]\nDepthNet = depth_wing\n")
    places = [str(tmp_path / "site"), str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")]

    def start(command: str, *words: str) -> str:
        script = Path(sys.executable).with_name(command)
        done = subprocess.run(
            [script, "--config-dir", str(tmp_path / "conf"), *words],
            cwd=tmp_path,
            env=os.environ | {"PYTHONPATH": os.pathsep.join(places)},
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    return start


def test_a_third_wing_trains_sweeps_and_evaluates(run: Run, tmp_path: Path) -> None:
    words = ["experiment=depth", "model.kernel=1,3", "seed=0,1", "study=kernel"]
    assert "4 jobs: 4 done" in run("facegeo-train", "-m", *words)
    study = tmp_path / "runs" / "kernel"
    folders = sorted(study.glob("depth-*"))
    errors = {f: json.loads((f / "metrics.json").read_text())["test/depth/rmse"] for f in folders}
    assert 0 < min(errors.values()) <= max(errors.values()) < 0.3
    record = json.loads((folders[0] / "record.json").read_text())
    assert record["cost"]["depth"]["parameters"] in (4, 28)
    table = (study / "report.csv").read_text()
    assert "kernel=3" in table
    assert "rmse" in table
    run("facegeo-eval", f"checkpoint={folders[0]}", "data=depth", "accelerator=cpu", "name=again")
    again = json.loads((tmp_path / "runs" / "again" / "metrics.json").read_text())
    assert again["test/depth/rmse"] == pytest.approx(errors[folders[0]], rel=1e-6)
    words = [f"checkpoint={folders[0]}", "data=depth", "format=torch_export", "output=depth.pt2"]
    assert "random surfaces" in run("facegeo-export", *words)
    assert (tmp_path / "depth.pt2").is_file()
