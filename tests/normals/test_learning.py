"""Cas-FNE learns: it memorises faces, and more of them with refinements than without."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning import Trainer
from torch import Tensor
from torch.utils.data import DataLoader

from facegeo.normals.augment import NormalAugment
from facegeo.normals.generator import CasFNE, PatchDiscriminator
from facegeo.normals.losses import (
    AdversarialLoss,
    CosineLoss,
    NormalDifferenceLoss,
    TotalVariationLoss,
)
from facegeo.normals.metrics import NormalErrors
from facegeo.normals.photoface import PhotofaceDataModule
from facegeo.normals.task import NormalGANTask
from facegeo.rendering.write import ensure_faces
from facegeo.training.schedules import cosine

Faces = dict[str, Tensor]

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore:.*does not have many workers"),
    pytest.mark.filterwarnings("ignore:You defined a `validation_step` but have no"),
]


def photographs(people: int, root: Path) -> Faces:
    """One photograph of a generated session of each of some people."""
    ensure_faces(root, layout="photoface", train=people, test=0, size=64, seed=0, processes=1)
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
    batches = [data.on_after_batch_transfer(batch, 0) for batch in data.in_order("train")]
    return {name: torch.cat([batch[name] for batch in batches])[::4] for name in batches[0]}


def errors(
    t: int, batches: Sequence[Faces], faces: Faces, folder: Path, **options: Any
) -> list[float]:
    """Mean angle of each stage on the faces that were learnt, degrees."""
    torch.manual_seed(0)
    settings: dict[str, Any] = {
        "weights": {"rec": 1.0, "diff": 0.0, "tv": 0.002, "adv": 0.0001},
        "optimizer": partial(torch.optim.Adam, lr=1e-4),
        "discriminator_optimizer": partial(torch.optim.Adam, lr=1e-4),
        "scheduler": None,
    }
    task = NormalGANTask(
        CasFNE(t),
        rec=CosineLoss(),
        diff=NormalDifferenceLoss(),
        tv=TotalVariationLoss(),
        adv=AdversarialLoss(),
        discriminator=PatchDiscriminator,
        metrics=NormalErrors(),
        steps=len(batches),
        **settings | options,
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
    trainer.fit(task, DataLoader(batches, batch_size=None))
    found = []
    with torch.inference_mode():
        for normals in task.eval()(faces["image"]):
            metric = NormalErrors()
            metric.update(normals, faces["normal"], faces["mask"])
            found.append(metric.compute()["mean_deg"].item())
    return found


def test_four_faces_are_memorised(tmp_path: Path) -> None:
    faces = photographs(4, tmp_path / "sessions")
    found = errors(
        2,
        [faces] * 500,
        faces,
        tmp_path,
        weights={"rec": 1.0, "diff": 0.0, "tv": 0.0, "adv": 0.0},
        optimizer=partial(torch.optim.Adam, lr=0.002),
        scheduler=partial(cosine, warmup=20),
    )
    print(f"after 500 batches, degrees at t = 0, 1, 2: {found}")
    assert found[-1] < 3


def test_refinements_learn_a_small_set_faster_than_t_0(tmp_path: Path) -> None:
    """Sixteen people, the paper's losses and rate: the same batches, with t = 0 and t = 2."""
    faces = photographs(16, tmp_path / "sessions")
    drawn = torch.Generator().manual_seed(0)
    rows = [torch.randperm(16, generator=drawn)[:8] for _ in range(600)]
    batches = [{name: value[few] for name, value in faces.items()} for few in rows]
    none, refined = (errors(t, batches, faces, tmp_path) for t in (0, 2))
    print(f"after 600 batches, degrees: {none} with t = 0, {refined} with t = 2")
    assert refined[-1] < none[-1] - 0.5
    assert refined[-1] < refined[0] - 0.5
