"""What every test may rely on: no window, no tracking server, an environment left as it was."""

import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import torch
from hydra import compose, initialize_config_dir
from omegaconf import DictConfig

from facegeo.files.places import Points
from facegeo.files.shipped import conf_dir
from facegeo.normals.photometric_stereo import flash_directions
from facegeo.normals.prepare import prepare
from facegeo.normals.prepare_people import PeoplePreparation

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
    *("export", "files", "geometry", "landmarks", "normals", "predict", "rendering", "surfaces"),
    "training",
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


ANGLES = [
    *((azimuth, elevation) for azimuth in (-70, -35, 0, 35, 70) for elevation in (-35, 0, 20, 45)),
    *((azimuth, 10) for azimuth in (-50, -15, 15, 50)),
    (110, 15),
]
"""Azimuth and elevation of the lamps of the people below, degrees."""


def find_sculpture(photos: Sequence[np.ndarray]) -> tuple[Points, Points]:
    """Points and outline of every head below: all are in the same place."""
    height, width = photos[0].shape[:2]
    shares = [[0.33, 0.4], [0.67, 0.4], [0.5, 0.55], [0.38, 0.72], [0.62, 0.72]]
    angle = np.linspace(0, 2 * np.pi, 40)
    outline = np.stack([0.5 + 0.36 * np.cos(angle), 0.52 + 0.4 * np.sin(angle)], axis=1)
    size = np.array([width, height])
    return np.array(shares) * size, outline * size


@pytest.fixture(scope="session")
def sculptures(tmp_path_factory: pytest.TempPathFactory) -> SimpleNamespace:
    """Six matt heads of 96 x 84 px with noses of their own under 25 lamps of unlike strengths.

    ``root`` holds ``CroppedYale`` in the published layout; beside it ``names`` of the people, true
    ``normals`` (P, 3, H, W), where each head is (``inside``, (P, H, W)), ``strengths`` by lamp and
    ``find_face`` for the preparation.
    """
    root, random = tmp_path_factory.mktemp("sculptures"), np.random.default_rng(0)
    names = tuple(f"yaleB{number:02d}" for number in range(1, 7))
    y, x = np.mgrid[1:-1:96j, -1:1:84j]
    lamps = {f"A{a:+04d}E{e:+03d}": (a, e) for a, e in ANGLES}
    towards = flash_directions(*torch.tensor(ANGLES).T).numpy()
    basis, logs = np.insert(towards, 0, 1, axis=1), random.normal(0, 0.08, len(lamps))
    front = towards[:, 2] > 0  # what other shapes of all heads could explain is taken out
    logs = logs - basis @ np.linalg.lstsq(basis[front], logs[front], rcond=None)[0]
    strengths = dict(zip(lamps, np.exp(logs).tolist(), strict=True))
    normals, insides = [], []
    for number, name in enumerate(names):
        folder = root / "CroppedYale" / name
        folder.mkdir(parents=True)
        round_ = 0.8 + 0.05 * number
        inside = (x / 0.95) ** 2 + (y / 0.98) ** 2 < 0.95
        height = round_ * np.sqrt(np.maximum(1 - (x / 1.1) ** 2 - (y / 1.15) ** 2, 0.02))
        height = height + (0.15 + 0.02 * number) * np.exp(-(((x) / 0.25) ** 2) - (y / 0.4) ** 2)
        slope_y, slope_x = np.gradient(height, y[:, 0], x[0])
        normal = np.stack([-slope_x, -slope_y, np.ones_like(x)])
        normal = normal / np.linalg.norm(normal, axis=0)
        albedo = (0.65 + 0.08 * np.sin(7 * x + number) * np.cos(5 * y)) * inside
        for lamp, light in zip(lamps, towards, strict=True):
            shade = np.maximum(np.tensordot(light, normal, 1), 0)
            pixels = np.clip(np.rint(255 * albedo * strengths[lamp] * shade), 0, 255)
            cv2.imwrite(str(folder / f"{name}_P00{lamp}.pgm"), pixels.astype(np.uint8))
        normals.append(normal)
        insides.append(inside)
    return SimpleNamespace(
        root=root,
        names=names,
        normals=np.stack(normals),
        inside=np.stack(insides),
        strengths=strengths,
        find_face=find_sculpture,
    )


@pytest.fixture(scope="session")
def prepared(sculptures: SimpleNamespace, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of the prepared ``sculptures``; not to be written to."""
    out = tmp_path_factory.mktemp("prepared") / "people"
    find_face = sculptures.find_face
    prepare(PeoplePreparation(root=sculptures.root, out=out, find_face=find_face, processes=1))
    return out


Writer = Callable[..., Path]
BOX = (8, 28, 10, 30)
POINTS = (13, 16, 23, 16, 18, 21, 14, 26, 22, 26)


def list_line(name: str, box: object = BOX, points: object = POINTS) -> str:
    return " ".join(str(field) for field in (name, *box, *points))  # type: ignore[misc]


@pytest.fixture
def face_folder(tmp_path: Path) -> Writer:
    """Writes a folder with a list and 40 x 36 images, each of one colour of its own."""

    def write(names: list[str], list_name: str = "list.txt") -> Path:
        root = tmp_path / "faces"
        for number, name in enumerate(names):
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            image = np.full((36, 40, 3), (number % 256, number // 256, 200), np.uint8)
            path.write_bytes(cv2.imencode(path.suffix, image)[1].tobytes())
        lines = "".join(f"{list_line(name)}\r\n" for name in names)
        (root / list_name).write_bytes(lines.encode())
        return root

    return write
