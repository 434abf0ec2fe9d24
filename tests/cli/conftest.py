"""Commands run in this process, and a small one with configs of its own."""

import logging
import shutil
import sys
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import NamedTuple

import pytest
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from facegeo.cli.app import launch
from facegeo.files.shipped import conf_dir

TOY = """\
# Train a toy.
defaults:
  - hydra: quiet
  - data: generated       # which faces
  - _self_
  - experiment: null      # a paper's setting

seed: 0                   # weights and order
color: "#fff"             # of the points
trainer:                  # how long
  max_epochs: 3           # passes over the data
  lr: 0.1
points: ???
"""
FILES = {
    "toy.yaml": TOY,
    "data/generated.yaml": "count: 8",
    "data/lfpw.yaml": "root: ???",
    "experiment/ccnn/paper.yaml": "# @package _global_\nseed: 7",
}

Run = Callable[..., None]


class Ended(NamedTuple):
    """How a command ended: exit code and what it printed."""

    code: int
    out: str
    err: str


@pytest.fixture
def command(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., Ended]:
    """Run a command in this process: ``command("predict", "input=x")``."""

    def run_command(name: str, *arguments: str) -> Ended:
        monkeypatch.setattr(sys, "argv", [f"facegeo-{name}", *arguments])
        code = 0
        try:
            import_module(f"facegeo.cli.{name}").main()
        except SystemExit as end:
            code = int(end.code or 0)
        return Ended(code, *capsys.readouterr())

    return run_command


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """Return the top-level config of a command ``facegeo-toy``."""
    folder = tmp_path / "conf"
    for name, text in FILES.items():
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    shutil.copytree(conf_dir() / "hydra", folder / "hydra")
    return folder / "toy.yaml"


@pytest.fixture
def run(config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Run]:
    """Run the command in an empty folder: ``run(job, "seed=1")``."""
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    monkeypatch.setattr(logging.getLogger("lightning"), "propagate", True)  # put back at the end

    def run_toy(job: Callable[[DictConfig], object], *arguments: str) -> None:
        monkeypatch.setattr(sys, "argv", ["facegeo-toy", *arguments])
        launch(job, "toy", "Train a toy.", ["facegeo-toy seed=1"], conf=config.parent)

    yield run_toy
    logging.getLogger("lightning.pytorch.utilities.rank_zero").setLevel(logging.NOTSET)
    HydraConfig.instance().cfg = None  # Hydra keeps the last one for the life of a process
