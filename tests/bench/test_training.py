"""Timed trainings: both feeds give batches of the same form; the share of data is measured."""

from pathlib import Path

import numpy as np
import pytest
import torch
from lightning import LightningDataModule, Trainer
from torch.utils.data import DataLoader

from facegeo.bench import training
from facegeo.bench.cascade import BOX_PX
from facegeo.bench.training import Lengths, StepClock, peak_mb, reset_peak, training_rows
from facegeo.bench.training_data import (
    PLACES,
    OneByOneFaces,
    OneByOneNormals,
    write_faces,
    write_sessions,
)
from facegeo.landmarks.nets import BoxStage, Cascade, PointStage
from facegeo.training.memory import keep_freed_memory

NET = {"input_size": 15, "channels": [2], "kernels": [4], "hidden": 4}
LENGTHS = Lengths(faces=4, batch=3, steps=2, gan_size=32, gan_batch=2, gan_steps=1)


@pytest.fixture
def stage() -> PointStage:
    return PointStage([0.16, 0.18], NET)


def test_rows_of_every_stage_and_of_the_gan(stage: PointStage) -> None:
    first = BoxStage({"F1": {"region": [0, 1, 0, 1], "points": ["LE", "RE", "N", "LM", "RM"]}}, NET)
    cascade = Cascade({"stage1": first, "stage2": stage})
    before = {name: value.clone() for name, value in cascade.state_dict().items()}
    found = list(training_rows(cascade, LENGTHS, "cpu", "cpu", 1))
    assert [rows[0].case for rows in found] == [
        "CCNN stage1, 1 thread",
        "CCNN stage2, 1 thread",
        "Cas-FNE t = 2 at 32 px, 1 thread",
    ]
    for rows, batch, steps in zip(found, (3, 3, 2), (2, 2, 1), strict=True):
        assert [row.name for row in rows] == ["per-sample loader", "facegeo"]
        assert rows[0].faster == 1.0
        for row in rows:
            assert (row.items, row.rounds) == (batch, steps * training.ROUNDS)
            assert row.data_share is not None
            assert 0 < row.data_share < 1
    assert all(torch.equal(value, before[name]) for name, value in cascade.state_dict().items())


def test_time_between_steps_counts_as_data() -> None:
    watch = StepClock(iter([10, 11, 13, 17, 25, 41]).__next__)
    for _ in range(3):
        watch.on_train_batch_start()
        watch.on_train_batch_end()
    assert watch.steps == [1, 4, 16]
    assert watch.between == [2, 8]
    row = training._row("case", "name", [watch, watch], 4, None)
    assert row.rounds == 2  # two batches warm up, of two rounds
    assert row.median_ms == 24e3
    assert row.data_share == pytest.approx(8 / 24)


def test_both_loaders_give_batches_of_the_same_form(tmp_path: Path, stage: PointStage) -> None:
    root = write_faces(tmp_path, 4)
    slow = next(iter(DataLoader(OneByOneFaces(root, 4, stage, 3), 3)))
    data = training._faces(root, stage, LENGTHS, 1)
    assert same_form(slow, first_batch(data))


def test_both_loaders_of_normals_give_the_same_batch(tmp_path: Path) -> None:
    root = write_sessions(tmp_path, 3, 32)
    samples = OneByOneNormals(root, 8)
    fast = first_batch(training._normals(root, LENGTHS, 1))
    rows = [int(row) for row in fast["sample"]]
    for place, row in enumerate(rows):
        slow = samples[row]
        torch.testing.assert_close(fast["image"][place], slow["image"])
        assert torch.equal(fast["mask"][place], slow["mask"])
        torch.testing.assert_close(fast["normal"][place], slow["normal"], atol=0.02, rtol=0)


def test_a_crop_is_about_its_point(
    tmp_path: Path, stage: PointStage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch, "randn", torch.zeros)
    samples = OneByOneFaces(write_faces(tmp_path, 1), 1, stage, 6)
    for index in range(6):  # turned and flipped
        image = np.zeros((250, 250, 3), np.uint8)
        x, y = (samples.box[0::2] + PLACES[2] * BOX_PX).round().astype(int)  # the nose
        image[y - 2 : y + 3, x - 2 : x + 3] = 255
        monkeypatch.setattr("facegeo.bench.training_data.decode", lambda file, image=image: image)
        crop = samples[index]["image"][4].sum(dim=0)
        rows, columns = torch.meshgrid(torch.arange(15.0), torch.arange(15.0), indexing="ij")
        for axis in (rows, columns):
            assert float((crop * axis).sum() / crop.sum()) == pytest.approx(7, abs=0.6)


@pytest.mark.skipif(peak_mb("cpu") is None, reason="unknown on this system")
def test_the_peak_is_reset() -> None:
    keep_freed_memory()  # as commands do
    torch.ones(200 * 2**18).sum()  # 200 MiB
    before = peak_mb("cpu")
    reset_peak("cpu")
    after = peak_mb("cpu")
    assert before is not None
    assert after is not None
    assert after < before - 150


def first_batch(data: LightningDataModule) -> dict[str, torch.Tensor]:
    trainer = Trainer(logger=False, accelerator="cpu", enable_checkpointing=False)
    data.trainer = trainer
    batch = next(iter(data.train_dataloader()))
    found: dict[str, torch.Tensor] = data.on_after_batch_transfer(batch, 0)
    return found


def same_form(one: object, other: object) -> bool:
    assert isinstance(one, dict)
    assert isinstance(other, dict)
    forms = [{k: (v.shape, v.dtype) for k, v in batch.items()} for batch in (one, other)]
    return forms[0] == forms[1]
