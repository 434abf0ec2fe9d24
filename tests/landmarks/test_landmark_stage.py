from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning import Trainer
from torch import Tensor
from torch.utils.data import DataLoader

from facegeo.landmarks.losses import HalfSquaredError
from facegeo.landmarks.metrics import LandmarkErrors
from facegeo.landmarks.nets import PointStage
from facegeo.landmarks.task import LandmarkStageTask, MakeOptimizer
from facegeo.training.schedules import MakeScheduler, cosine, exponential

NET = {"input_size": 15, "channels": [3, 3], "kernels": [4, 3], "hidden": 6}
COSINE = partial(cosine, warmup=0)
ADAM = partial(torch.optim.Adam, lr=0.01)

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*does not have many workers"),
    pytest.mark.filterwarnings("ignore:You defined a `validation_step` but have no"),
]


def stage(seed: int = 0) -> PointStage:
    torch.manual_seed(seed)
    return PointStage([0.2], NET)


def batch(size: int = 8, seed: int = 0) -> dict[str, Tensor]:
    """Faces whose crops are noise, windows on (.5, .5), boxes of 40 x 20 px."""
    generator = torch.Generator().manual_seed(seed)
    return {
        "image": torch.rand(size, 5, 3, 15, 15, generator=generator),
        "frame": torch.tensor([0.5, 0.5, 0.2, 0.2]).expand(size, 5, 4),
        "points": 0.5 + 0.1 * torch.randn(size, 5, 2, generator=generator),
        "size": torch.tensor([[40.0, 20.0]]).expand(size, -1),
    }


def loader(batches: list[dict[str, Tensor]]) -> DataLoader[Any]:
    return DataLoader(batches, batch_size=None)  # type: ignore[arg-type]


def task(
    steps: int = 10,
    optimizer: MakeOptimizer = ADAM,
    scheduler: MakeScheduler = COSINE,
) -> LandmarkStageTask:
    return LandmarkStageTask(
        stage(), HalfSquaredError(), LandmarkErrors(), optimizer, scheduler, steps
    )


def trainer(folder: Path, **options: Any) -> Trainer:
    return Trainer(
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        default_root_dir=folder,
        **options,
    )


def test_the_loss_falls_on_a_few_faces(tmp_path: Path) -> None:
    learner, data = task(steps=40), batch()

    def loss() -> float:
        frame = learner.stage.targets(data["points"], data["frame"])
        with torch.no_grad():
            return float(learner.loss(learner(data["image"]), frame))

    before = loss()
    trainer(tmp_path, max_steps=40).fit(learner, loader([data] * 40))
    assert loss() < before / 4


def test_weights_decay_and_biases_do_not(tmp_path: Path) -> None:
    optimizer = partial(torch.optim.SGD, lr=0.1, momentum=0.9, weight_decay=0.5)
    learner, data = task(2, optimizer, partial(exponential, rate=0.25, every=1)), batch()
    for tensor in learner.parameters():  # biases are zero at first, and zero decays to zero
        torch.nn.init.normal_(tensor, std=0.1)
    params = {name: p.detach().clone() for name, p in learner.stage.named_parameters()}
    velocity = {name: torch.zeros_like(p) for name, p in params.items()}
    net = stage()
    for rate in (0.1, 0.025):  # two steps of SGD with momentum by hand
        net.load_state_dict(params, strict=False)
        net.zero_grad()
        error = net(data["image"]) - net.targets(data["points"], data["frame"])
        (0.5 * error.square().sum(dim=(1, 2)).mean()).backward()
        for name, p in net.named_parameters():
            assert p.grad is not None
            pull = p.grad + (0.0 if "bias" in name else 0.5) * params[name]
            velocity[name] = 0.9 * velocity[name] + pull
            params[name] = params[name] - rate * velocity[name]
    trainer(tmp_path, max_steps=2).fit(learner, loader([data] * 2))
    for name, p in learner.stage.named_parameters():
        torch.testing.assert_close(p.detach(), params[name], msg=name)


def test_validation_logs_the_error_of_all_held_out_faces(tmp_path: Path) -> None:
    learner = task()
    batches = [batch(8), batch(3, seed=1)]
    judge = trainer(tmp_path)
    logged = judge.validate(learner, loader(batches), verbose=False)[0]
    distances, votes = [], []
    for data in batches:
        with torch.no_grad():
            answer = learner(data["image"])
        found = 0.5 + (answer - 0.5) * 0.4  # one net a point, windows of .4 about (.5, .5)
        sides = torch.tensor([40.0, 20.0])
        distances.append(((found - data["points"]) * sides).norm(dim=2) / 40)
        wanted = (data["points"] - 0.5) / 0.4 + 0.5
        votes.append(0.5 * (answer - wanted).square().sum(dim=(1, 2)))
    errors = 100 * torch.cat(distances)
    assert logged["val/error_pct"] == pytest.approx(errors.mean().item(), rel=1e-5)
    assert logged["val/error_LM_pct"] == pytest.approx(errors[:, 3].mean().item(), rel=1e-5)
    assert judge.callback_metrics["val/error"].item() == logged["val/error_pct"]  # for the bar
    assert logged["val/loss"] == pytest.approx(torch.cat(votes).mean().item(), rel=1e-5)


def test_each_validation_starts_anew(tmp_path: Path) -> None:
    learner, judge = task(), trainer(tmp_path)
    judge.validate(learner, loader([batch(8)]), verbose=False)
    again = judge.validate(learner, loader([batch(3, seed=1)]), verbose=False)[0]
    fresh = trainer(tmp_path).validate(task(), loader([batch(3, seed=1)]), verbose=False)[0]
    assert again == fresh


def test_frozen_weights_do_not_change(tmp_path: Path) -> None:
    learner = task(steps=2)
    learner.stage.bank.fc1_weight.requires_grad_(False)
    before = learner.stage.bank.fc1_weight.clone()
    trainer(tmp_path, max_steps=2).fit(learner, loader([batch()] * 2))
    assert torch.equal(learner.stage.bank.fc1_weight, before)


def test_the_schedule_is_stepped_after_every_batch(tmp_path: Path) -> None:
    optimizer = partial(torch.optim.SGD, lr=1e-3)
    learner = task(5, optimizer, partial(exponential, rate=0.5, every=1))
    trainer(tmp_path, max_steps=3).fit(learner, loader([batch()] * 3))
    assert learner.optimizers().param_groups[0]["lr"] == pytest.approx(1e-3 / 8)
