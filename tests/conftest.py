"""What every test may rely on: no window, no tracking server, an environment left as it was."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from hydra import compose, initialize_config_dir
from omegaconf import DictConfig

from facegeo.paths import conf_dir

os.environ["MPLBACKEND"] = "Agg"
os.environ["WANDB_MODE"] = "disabled"

# pytest counts tests in it; Lightning keeps the seed there for the workers it starts; torch
# chooses a folder when an optimizer first steps.
OFTEN_CHANGED = {
    "PYTEST_CURRENT_TEST",
    "PL_GLOBAL_SEED",
    "PL_SEED_WORKERS",
    "TORCHINDUCTOR_CACHE_DIR",
}


NUMERIC = {
    *("data", "export", "geometry", "lighting", "losses", "mesh", "metrics", "models"),
    *("predict", "procedures", "synthetic", "tasks"),
}
"""Folders whose tests are marked ``portable``: they hold results against known numbers."""


@pytest.hookimpl(tryfirst=True)  # before -m chooses
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the numeric tests, which must pass whatever instructions the processor has."""
    here = Path(__file__).parent
    for item in items:
        if item.path.is_relative_to(here) and item.path.relative_to(here).parts[0] in NUMERIC:
            item.add_marker("portable")


@pytest.fixture(autouse=True)
def _environment_left_as_it_was() -> Iterator[None]:
    before = dict(os.environ)
    yield
    after = dict(os.environ)
    os.environ.clear()
    os.environ.update(before)
    names = {name for name in before | after if before.get(name) != after.get(name)}
    changed = sorted(names - OFTEN_CHANGED)
    assert not changed, f"the test left environment variables changed: {changed}"


@pytest.fixture(scope="session")
def tiny_faces(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with lists of 24 training and 8 test faces: grey heads with coloured points."""
    root = tmp_path_factory.mktemp("tiny")
    random = np.random.default_rng(0)
    mean = np.array([[0.27, 0.26], [0.74, 0.25], [0.5, 0.54], [0.31, 0.77], [0.71, 0.76]])
    colours = np.array([[1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 1, 0], [0, 1, 1]]) * 255.0
    lines = []
    for number in range(32):
        width, height = random.integers(48, 64, 2)
        sides = random.uniform(30, 36, 2)
        corner = (np.array([width, height]) - sides) * random.uniform(0.3, 0.7, 2)
        points = corner + sides * (mean + random.normal(0, 0.04, (5, 2)))
        rows, columns = np.mgrid[:height, :width]
        centre = corner + sides / 2
        head = ((columns - centre[0]) / sides[0]) ** 2 + ((rows - centre[1]) / sides[1]) ** 2 < 0.3
        image = np.where(head[..., None], 150.0, 60.0) + random.normal(0, 6, (height, width, 3))
        for (x, y), colour in zip(points, colours, strict=True):
            near = np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / 4)[..., None]
            image = (1 - near) * image + near * colour
        pixels = np.clip(image[..., ::-1], 0, 255).astype(np.uint8)
        (root / f"{number}.png").write_bytes(cv2.imencode(".png", pixels)[1].tobytes())
        box = (corner[0], corner[0] + sides[0], corner[1], corner[1] + sides[1])
        lines.append(" ".join([f"{number}.png", *(f"{v:.3f}" for v in (*box, *points.ravel()))]))
    (root / "trainImageList.txt").write_text("\n".join(lines[:24]))
    (root / "testImageList.txt").write_text("\n".join(lines[24:]))
    return root


@pytest.fixture(scope="session")
def tiny_overrides(tiny_faces: Path, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """What makes ``conf/train.yaml`` a training of a few seconds on ``tiny_faces``, one thread."""
    cache = tmp_path_factory.mktemp("tiny_cache")
    return [
        "data=lfpw",
        f"data.root={tiny_faces}",
        f"data.cache_dir={cache}",
        "data.val_fraction=0.25",
        "data.batch_size=5",
        "trainer=auto",
        "trainer.accelerator=cpu",
        "trainer.enable_progress_bar=false",
        "trainer.log_every_n_steps=1",
        "model.stages.stage1.net={input_size:20,channels:[4,4],kernels:[4,3],hidden:8,dropout:0.25}",
        "model.stages.stage2.net={input_size:15,channels:[3,3],kernels:[4,3],hidden:6,dropout:0.25}",
        "procedure.steps={stage1:12,stage2:10,stage3:8}",
        "procedure.checkpoint_every=4",
        "task.optimizer.lr=0.001",
        "++task.scheduler.warmup=0",
        "procedure.validate_every=6",
    ]


@pytest.fixture(scope="session")
def tiny_config(tiny_overrides: list[str]) -> Callable[..., DictConfig]:
    """Composes ``conf/train.yaml`` with ``tiny_overrides`` and the caller's."""

    def compose_config(*overrides: str) -> DictConfig:
        with initialize_config_dir(str(conf_dir()), version_base="1.3"):
            return compose("train", [*tiny_overrides, *overrides])

    return compose_config


@pytest.fixture(scope="session")
def plain_config() -> Callable[..., DictConfig]:
    """Composes ``conf/train.yaml`` with the caller's overrides."""

    def compose_config(*overrides: str) -> DictConfig:
        with initialize_config_dir(str(conf_dir()), version_base="1.3"):
            return compose("train", list(overrides))

    return compose_config
