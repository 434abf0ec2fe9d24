"""That Cas-FNE learns: four faces by heart."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import pytest
import torch
from lightning import Trainer
from torch.utils.data import DataLoader

from facegeo.data.normal_augment import NormalAugment
from facegeo.data.photoface import PhotofaceDataModule
from facegeo.losses.adversarial import AdversarialLoss
from facegeo.losses.normal import CosineLoss, TotalVariationLoss
from facegeo.metrics.normal import NormalErrors
from facegeo.models.casfne.discriminator import PatchDiscriminator
from facegeo.models.casfne.generator import CasFNE
from facegeo.synthetic.write import ensure_sessions
from facegeo.tasks.normal_gan import NormalGANTask
from facegeo.tasks.schedules import cosine
from facegeo.types import NormalBatch

STEPS = 500

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore:.*does not have many workers"),
    pytest.mark.filterwarnings("ignore:You defined a `validation_step` but have no"),
]


@pytest.fixture(scope="module")
def four_faces(tmp_path_factory: pytest.TempPathFactory) -> NormalBatch:
    """One photograph of each of four generated sessions."""
    root = tmp_path_factory.mktemp("sessions")
    ensure_sessions(root, train=4, test=0, size=64, seed=0, processes=1)
    data = PhotofaceDataModule(
        str(root),
        str(root / "cache"),
        NormalAugment(),
        train_list="train.csv",
        test_list=None,
        size=64,
        val_fraction=0.0,
        test_fraction=0.0,
    )
    everything = next(iter(data.in_order("train")))
    batch = data.on_after_batch_transfer(everything, 0)
    few: NormalBatch = {name: value[::4] for name, value in batch.items()}  # type: ignore[assignment, index]
    return few


def errors(t: int, batch: NormalBatch, folder: Path) -> Sequence[float]:
    """Mean angle of each stage on the faces that were learnt, degrees."""
    torch.manual_seed(0)
    task = NormalGANTask(
        CasFNE(t),
        weights={"rec": 1.0, "tv": 0.0, "adv": 0.0},
        rec=CosineLoss(),
        tv=TotalVariationLoss(),
        adv=AdversarialLoss(),
        discriminator=PatchDiscriminator,
        metrics=NormalErrors(),
        optimizer=partial(torch.optim.Adam, lr=0.002),
        discriminator_optimizer=partial(torch.optim.Adam, lr=0.002),
        scheduler=partial(cosine, warmup=20),
        steps=STEPS,
    )
    trainer = Trainer(
        accelerator="cpu",
        max_epochs=1,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        default_root_dir=folder,
    )
    trainer.fit(task, DataLoader([batch] * STEPS, batch_size=None))  # type: ignore[arg-type]
    found = []
    with torch.inference_mode():
        for normals in task.eval()(batch["image"]):
            metric = NormalErrors()
            metric.update(normals, batch["normal"], batch["mask"])
            found.append(metric.compute()["mean_deg"].item())
    return found


def test_four_faces_are_learnt_by_heart(four_faces: NormalBatch, tmp_path: Path) -> None:
    found = errors(2, four_faces, tmp_path)
    print(f"after {STEPS} batches, degrees at t = 0, 1, 2: {found}")
    assert found[-1] < 3
