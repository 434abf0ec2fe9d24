from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from lightning import LightningDataModule, LightningModule, Trainer
from lightning.pytorch.loggers import Logger
from torch import Tensor
from torch.utils.data import DataLoader

from facegeo.geometry.light import to_linear
from facegeo.normals.panels import Panels
from facegeo.normals.photos import PhotoFolder

SIDE = 16
STEP = 128 + 4 + 18  # px from a face to the next: a tile, a gap and a note; without notes 132

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*does not have many workers"),
    pytest.mark.filterwarnings("ignore:.*this fit will run with no optimizer"),
]


class Flat(LightningModule):
    """Two stages of normals to the camera; keeps what it was shown in validation."""

    def __init__(self) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.shown: list[Tensor] = []

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        assert not self.training
        self.shown.append(image)
        normals = torch.tensor([0.0, 0.0, 1.0])[:, None, None].expand_as(image)
        return normals, normals

    def training_step(self, batch: object, batch_idx: int) -> None: ...

    def validation_step(self, batch: object, batch_idx: int) -> None: ...

    def configure_optimizers(self) -> None: ...


class Wall(Logger):
    """Takes pictures, as W&B's does."""

    name = version = "wall"

    def __init__(self) -> None:
        super().__init__()
        self.pictures: list[tuple[str, list[str]]] = []

    def log_image(self, key: str, images: list[str]) -> None:
        assert all(Path(image).is_file() for image in images)
        self.pictures.append((key, images))

    def log_hyperparams(self, *_: Any, **__: Any) -> None: ...

    def log_metrics(self, *_: Any, **__: Any) -> None: ...


def faces(count: int, seed: int) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    normal = torch.tensor([0.6, 0.0, 0.8])[:, None, None].expand(count, 3, SIDE, SIDE)
    mask = torch.ones(count, 1, SIDE, SIDE, dtype=torch.bool)
    image = torch.rand(count, 3, SIDE, SIDE, generator=generator)
    return {"image": image, "normal": normal, "mask": mask}


def train(
    folder: Path,
    panels: Panels,
    logger: Logger | bool = False,
    coding: str | None = None,
    **options: Any,
) -> Flat:
    """Four batches, with a look at two batches of faces after the second and the fourth."""
    module = Flat()
    trainer = Trainer(
        accelerator="cpu",
        max_epochs=1,
        val_check_interval=2,
        logger=logger,
        log_every_n_steps=1,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        default_root_dir=folder,
        callbacks=[panels],
        **options,
    )
    held_out = DataLoader([faces(5, 0), faces(5, 1)], batch_size=None)  # type: ignore[arg-type]
    data = LightningDataModule.from_datasets(torch.zeros(4))  # type: ignore[arg-type]
    data.val_dataloader = lambda: held_out  # type: ignore[method-assign]
    data.coding = coding
    trainer.fit(module, datamodule=data)
    return module


def rows(path: Path, step: int = STEP, rest: int = 52 + 58) -> float:
    """Faces of a picture, from its height."""
    return (cv2.imread(str(path)).shape[0] - rest) / step


def test_the_first_faces_are_drawn_at_every_validation(tmp_path: Path) -> None:
    module = train(tmp_path, Panels(tmp_path, faces=2))
    pictures = sorted(path.name for path in (tmp_path / "panels").iterdir())
    assert pictures == ["faces_0000002.png", "faces_0000004.png"]
    assert rows(tmp_path / "panels" / "faces_0000002.png") == 2
    assert len(module.shown) == 2
    assert all(torch.equal(images, faces(5, 0)["image"][:2]) for images in module.shown)


@pytest.fixture
def photos(tmp_path: Path) -> PhotoFolder:
    """Three grey photos."""
    folder = tmp_path / "photos"
    folder.mkdir()
    for number in range(3):
        pixels = np.full((20, 20, 3), 80 * number, np.uint8)
        (folder / f"{number}.png").write_bytes(cv2.imencode(".png", pixels)[1].tobytes())
    return PhotoFolder(folder, SIDE)


def test_photos_are_drawn_beside_them_and_all_go_to_the_logger(
    photos: PhotoFolder, tmp_path: Path
) -> None:
    wall = Wall()
    panels = Panels(tmp_path, faces=5, photos=photos)
    module = train(tmp_path, panels, wall)
    assert [len(images) for images in module.shown] == [5, 3, 5, 3]
    assert module.shown[1].mean(dim=(1, 2, 3)).tolist() == pytest.approx([0, 80 / 255, 160 / 255])
    folder = tmp_path / "panels"
    assert rows(folder / "photos_0000004.png", 132, 52) == 3
    assert rows(folder / "faces_0000004.png") == 5
    assert wall.pictures == [
        (f"panels/{kind}", [str(folder / f"{kind}_000000{done}.png")])
        for done in (2, 4)
        for kind in ("faces", "photos")
    ]


def test_photos_are_shown_in_the_trainings_coding(photos: PhotoFolder, tmp_path: Path) -> None:
    shown = train(tmp_path, Panels(tmp_path, faces=2, photos=photos), coding="linear").shown
    torch.testing.assert_close(shown[0], faces(5, 0)["image"][:2])
    torch.testing.assert_close(shown[1][1], to_linear(photos[1]["image"]))


def test_one_process_draws(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Trainer, "is_global_zero", False)
    assert train(tmp_path, Panels(tmp_path)).shown == []
    assert not (tmp_path / "panels").exists()
