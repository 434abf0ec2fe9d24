import copy
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import pytest
import torch
from lightning import Callback, LightningModule, Trainer
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.optim import SGD, Optimizer
from torch.utils.data import DataLoader

from facegeo.errors import UserError
from facegeo.geometry.normals import normalise
from facegeo.normals.losses import (
    WHITE_NORMAL,
    AdversarialLoss,
    CosineLoss,
    NormalDifferenceLoss,
    TotalVariationLoss,
)
from facegeo.normals.metrics import NormalErrors
from facegeo.normals.task import NormalGANTask
from facegeo.training.schedules import exponential

WEIGHTS = {"rec": 1.0, "diff": 2.0, "tv": 0.5, "adv": 0.25}
NO_GAME = WEIGHTS | {"adv": 0.0}
TERMS = ("rec", "diff", "tv", "adv", "discriminator", "loss")

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*does not have many workers"),
    pytest.mark.filterwarnings("ignore:You defined a `validation_step` but have no"),
]

Batch = dict[str, Tensor]
Weights = dict[str, Tensor]


class Tiny(nn.Module):
    """Two stages of normals, one from the other, with a layer that keeps buffers."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first, self.norm = nn.Conv2d(3, 3, 3, padding=1), nn.BatchNorm2d(3)
        self.block = nn.Conv2d(3, 3, 3, padding=1)
        self.images: list[Tensor] = []
        self.widths: set[torch.dtype] = set()

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        hidden = self.first(image)
        self.widths.add(hidden.dtype)
        self.images.append(image)
        initial = normalise(self.norm(hidden).float(), 1e-6)
        return initial, normalise(self.block(initial).float(), 1e-6)


class Judge(nn.Module):
    """Logits of patches; keeps what it was shown."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(1)
        self.net = nn.Sequential(nn.Conv2d(3, 4, 3, 2), nn.LeakyReLU(0.2), nn.Conv2d(4, 1, 3))
        self.shown: list[Tensor] = []

    def forward(self, normals: Tensor) -> Tensor:
        self.shown.append(normals.detach())
        return self.net(normals)


class Watch(Callback):
    """What was logged in each batch."""

    def __init__(self) -> None:
        self.logged: list[dict[str, float]] = []

    def on_train_batch_end(self, trainer: Trainer, *_: object) -> None:
        values = trainer.callback_metrics.items()
        self.logged.append({key.removeprefix("train/"): float(value) for key, value in values})


def batch(size: int = 4, seed: int = 0) -> Batch:
    """Noise for faces, masks of half the pixels."""
    generator = torch.Generator().manual_seed(seed)
    mask = torch.rand(size, 1, 8, 8, generator=generator) > 0.5
    normal = normalise(torch.randn(size, 3, 8, 8, generator=generator), 1e-6)
    return {
        "sample": torch.arange(size),
        "image": torch.rand(size, 3, 8, 8, generator=generator),
        "normal": normal * mask,
        "mask": mask,
    }


def loader(batches: list[Batch]) -> DataLoader[Any]:
    return DataLoader(batches, batch_size=None)  # type: ignore[arg-type]


def task(weights: Mapping[str, float] = WEIGHTS, **changes: Any) -> NormalGANTask:
    parts: dict[str, Any] = {
        "generator": Tiny(),
        "rec": CosineLoss(),
        "diff": NormalDifferenceLoss(),
        "tv": TotalVariationLoss(),
        "adv": AdversarialLoss(),
        "discriminator": Judge,
        "metrics": NormalErrors(),
        "optimizer": partial(SGD, lr=0.1),
        "discriminator_optimizer": partial(SGD, lr=0.2),
        "steps": 2,
    }
    return NormalGANTask(**parts | changes, weights=weights)


def trainer(folder: Path, *callbacks: Callback, **options: Any) -> Trainer:
    return Trainer(
        **{"accelerator": "cpu"} | options,
        max_epochs=1,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        default_root_dir=folder,
        callbacks=list(callbacks),
    )


def fit(
    learner: NormalGANTask, folder: Path, batches: int = 2, **options: Any
) -> list[dict[str, float]]:
    """Train on that many unlike batches; return what was logged after each."""
    watch = Watch()
    faces = loader([batch(seed=number) for number in range(batches)])
    trainer(folder, watch, **options).fit(learner, faces)
    return watch.logged


def state(module: nn.Module) -> Weights:
    return {name: value.clone() for name, value in module.state_dict().items()}


def change(before: Weights, after: nn.Module) -> float:
    """Length of the way that all parameters went."""
    steps = [(p.detach() - before[name]).flatten() for name, p in after.named_parameters()]
    return float(torch.cat(steps).norm())


@pytest.mark.parametrize("masked", [True, False], ids=["face", "all-pixels"])
def test_a_batch_is_a_step_of_the_discriminator_and_then_one_of_the_generator(
    tmp_path: Path, masked: bool
) -> None:
    losses = {"rec": CosineLoss(masked=masked), "tv": TotalVariationLoss(masked=masked)}
    learner, game = task(masked=masked, **losses), AdversarialLoss()
    generator, judge = Tiny(), Judge()
    optimizers = SGD(generator.parameters(), 0.1), SGD(judge.parameters(), 0.2)
    white = torch.tensor(WHITE_NORMAL)[:, None, None]
    wanted = []
    for seed in range(2):  # two batches by hand
        data = batch(seed=seed)
        seen = data["mask"] if masked else torch.ones_like(data["mask"])
        truth = data["normal"] if masked else data["normal"].where(data["mask"], white)
        stages = generator(data["image"])
        fakes = [judge(stage.detach() * seen) for stage in stages]
        terms = {"discriminator": game.discriminator(judge(truth), fakes)}
        optimizers[1].zero_grad()
        terms["discriminator"].backward()
        optimizers[1].step()
        terms["rec"] = losses["rec"](stages, data["normal"], data["mask"])
        terms["tv"] = losses["tv"](stages, data["mask"])
        terms["adv"] = game.generator([judge(stage * seen) for stage in stages])
        terms["diff"] = NormalDifferenceLoss()(stages, data["normal"], data["mask"])
        terms["loss"] = terms["rec"] + 2 * terms["diff"] + 0.5 * terms["tv"] + 0.25 * terms["adv"]
        optimizers[0].zero_grad()
        terms["loss"].backward()
        optimizers[0].step()
        wanted.append({name: pytest.approx(terms[name].item(), rel=1e-5) for name in TERMS})
    assert fit(learner, tmp_path) == wanted
    for ours, theirs in ((learner.generator, generator), (learner.discriminator, judge)):
        torch.testing.assert_close(dict(ours.named_parameters()), dict(theirs.named_parameters()))


class Gradients(Callback):
    """Gradients of both networks when an optimizer is about to step."""

    def __init__(self) -> None:
        self.seen: list[tuple[Weights, Weights]] = []

    def on_before_optimizer_step(
        self, trainer: Trainer, pl_module: LightningModule, optimizer: Optimizer
    ) -> None:
        learner: Any = pl_module
        generator, judge = (
            {name: p.grad.clone() for name, p in net.named_parameters() if p.grad is not None}
            for net in (learner.generator, learner.discriminator)
        )
        self.seen.append((generator, judge))


def test_neither_network_gets_a_gradient_from_the_others_step(tmp_path: Path) -> None:
    gradients = Gradients()
    trainer(tmp_path, gradients).fit(task(), loader([batch(seed=seed) for seed in range(2)]))
    first, second, third, fourth = gradients.seen  # discriminator, generator, and again
    assert first[0] == {}
    assert len(first[1]) == 4
    torch.testing.assert_close(second[1], first[1], rtol=0, atol=0)
    torch.testing.assert_close(third[0], second[0], rtol=0, atol=0)
    torch.testing.assert_close(fourth[1], third[1], rtol=0, atol=0)
    assert all(
        grad.abs().sum() > 0 for pair in (third, fourth) for g in pair for grad in g.values()
    )


def never(*_: object) -> NoReturn:
    raise AssertionError("a term of weight 0 was computed")


class Never(nn.Module):
    discriminator = generator = staticmethod(never)
    forward = staticmethod(never)


@pytest.mark.parametrize("term", ["rec", "diff", "tv"])
def test_a_loss_of_weight_zero_is_not_computed(tmp_path: Path, term: str) -> None:
    logged = fit(task(WEIGHTS | {term: 0.0}, **{term: Never()}), tmp_path)
    assert set(logged[0]) == set(TERMS) - {term}


def test_without_the_game_there_is_no_discriminator(tmp_path: Path) -> None:
    learner = task(NO_GAME, adv=Never(), discriminator=never, discriminator_optimizer=never)
    before = state(learner.generator)
    logged = fit(learner, tmp_path)
    assert set(logged[0]) == {"rec", "diff", "tv", "loss"}
    assert logged[0]["loss"] == pytest.approx(
        logged[0]["rec"] + 2 * logged[0]["diff"] + 0.5 * logged[0]["tv"]
    )
    assert len(learner.configure_optimizers()) == 1  # type: ignore[arg-type]
    assert change(before, learner.generator) > 0


def test_the_discriminator_sees_only_the_face(tmp_path: Path) -> None:
    learner = task()
    fit(learner, tmp_path, batches=1)
    outside = ~batch()["mask"].expand(-1, 3, -1, -1)
    real_and_fakes, fakes = learner.discriminator.shown
    assert (len(real_and_fakes), len(fakes)) == (12, 8)  # truth and two stages; two stages
    for shown in (*real_and_fakes.split(4), *fakes.split(4)):
        assert not shown[outside].any()
        assert shown[~outside].all()


def test_or_all_pixels_with_a_white_ground_in_the_truth(tmp_path: Path) -> None:
    learner = task(masked=False)
    fit(learner, tmp_path, batches=1)
    truth, *fakes = learner.discriminator.shown[0].split(4)
    outside = ~batch()["mask"].squeeze(1)
    ground = truth.permute(0, 2, 3, 1)[outside]
    torch.testing.assert_close(ground, torch.tensor(WHITE_NORMAL).expand_as(ground))
    assert all(fake.permute(0, 2, 3, 1)[outside].all() for fake in fakes)


def test_the_gradient_of_either_network_is_clipped(tmp_path: Path) -> None:
    rate_one = partial(SGD, lr=1.0)  # of which a step is as long as the gradient
    for bound in (None, 1e-3):
        learner = task(optimizer=rate_one, discriminator_optimizer=rate_one, clip_norm=bound)
        before = state(learner.generator), state(learner.discriminator)
        fit(learner, tmp_path, batches=1)
        steps = change(before[0], learner.generator), change(before[1], learner.discriminator)
        if bound is None:
            assert min(steps) > 0.01
        else:
            assert steps == pytest.approx((bound, bound), rel=1e-3)


def test_half_precision_trains_and_stays_finite(tmp_path: Path) -> None:
    learner = task(clip_norm=1.0)
    before = state(learner.generator)
    logged = fit(learner, tmp_path, precision="bf16-mixed")
    assert learner.generator.widths == {torch.bfloat16}
    whole = fit(task(clip_norm=1.0), tmp_path)
    assert logged == [pytest.approx(values, rel=0.05) for values in whole]  # bf16: 8 bits
    assert change(before, learner.generator) > 0
    assert all(value.isfinite().all() for value in state(learner).values())


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
def test_scaled_half_precision_clips_what_the_optimizers_see(tmp_path: Path) -> None:
    learner = task(clip_norm=1.0)
    logged = fit(learner, tmp_path, batches=8, precision="16-mixed", accelerator="gpu")
    assert learner.generator.widths == {torch.float16}
    assert all(value.isfinite().all() for value in state(learner).values())
    whole = fit(task(clip_norm=1.0), tmp_path, batches=8)
    assert logged[-1] == pytest.approx(whole[-1], rel=0.1)


def test_the_order_of_channels_changes_no_loss(tmp_path: Path) -> None:
    last = task(channels_last=True)
    logged = fit(last, tmp_path)
    assert logged == [pytest.approx(values, rel=1e-5) for values in fit(task(), tmp_path)]
    for tensor in (last.generator.images[0], last.generator.block.weight):
        assert tensor.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("wanted", [True, False])
def test_compiling_is_asked_for_once(wanted: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[nn.Module] = []
    monkeypatch.setattr(Tiny, "compile", lambda self: calls.append(self))
    learner = task(compile=wanted, ema=0.9)
    assert calls == ([learner.generator] if wanted else [])


def test_the_running_mean_is_kept_and_validated(tmp_path: Path) -> None:
    averaged, plain = task(ema=0.75), task()
    assert plain.trained is plain.generator
    weights: list[Weights] = []

    class Keep(Callback):
        def on_train_batch_end(self, *_: object) -> None:
            weights.append(state(averaged.generator))

    data = [batch(seed=seed) for seed in range(2)]
    trainer(tmp_path, Keep()).fit(averaged, loader(data))
    fit(plain, tmp_path)
    torch.testing.assert_close(state(averaged.generator), state(plain.generator))
    kept = state(averaged.trained)
    assert kept.pop("norm.num_batches_tracked") == 1
    for name, value in kept.items():  # the mean starts at the first weights
        mean = 0.75 * weights[0][name] + 0.25 * weights[1][name]
        torch.testing.assert_close(value, mean, msg=name)
    assert not torch.equal(kept["block.weight"], weights[1]["block.weight"])
    logged = trainer(tmp_path).validate(averaged, loader(data[:1]), verbose=False)[0]
    other = task(generator=copy.deepcopy(averaged.trained))
    assert logged == trainer(tmp_path).validate(other, loader(data[:1]), verbose=False)[0]
    assert logged != trainer(tmp_path).validate(plain, loader(data[:1]), verbose=False)[0]


def test_the_running_mean_is_not_trained_itself(tmp_path: Path) -> None:
    learner = task(ema=1.0)  # stays where the first step led
    fit(learner, tmp_path, batches=1)
    first = state(learner.trained)
    again = task(ema=1.0)
    fit(again, tmp_path, batches=3)
    torch.testing.assert_close(
        dict(again.trained.named_parameters()),
        {k: first[k] for k, _ in learner.trained.named_parameters()},
    )


def test_both_rates_follow_the_schedule_batch_by_batch(tmp_path: Path) -> None:
    learner = task(scheduler=partial(exponential, rate=0.5, every=1), steps=3)
    fit(learner, tmp_path, batches=3)
    rates = [optimizer.param_groups[0]["lr"] for optimizer in learner.optimizers()]
    assert rates == pytest.approx([0.1 / 8, 0.2 / 8])
    alone = task(NO_GAME, scheduler=partial(exponential, rate=0.5, every=1), steps=3)
    fit(alone, tmp_path, batches=3)
    assert alone.optimizers().param_groups[0]["lr"] == pytest.approx(0.1 / 8)


def degrees(one: Tensor, other: Tensor, mask: Tensor) -> NDArray[np.float64]:
    cosine = np.clip((one.double() * other.double()).sum(dim=1, keepdim=True).numpy(), -1, 1)
    return np.degrees(np.arccos(cosine))[mask.numpy()]


def test_validation_measures_every_stage_on_all_held_out_pixels(tmp_path: Path) -> None:
    learner, judge = task(), trainer(tmp_path)
    batches = [batch(4), batch(1, seed=1)]
    logged = judge.validate(learner, loader(batches), verbose=False)[0]
    learner.eval()
    with torch.no_grad():
        found = [learner(data["image"]) for data in batches]
    for t in range(2):
        pairs = zip(found, batches, strict=True)
        errors = np.concatenate([degrees(f[t], b["normal"], b["mask"]) for f, b in pairs])
        assert logged[f"val/t{t}/mean_deg"] == pytest.approx(errors.mean(), rel=1e-4)
        below = 100 * (errors < 30).mean()
        assert logged[f"val/t{t}/lt30_pct"] == pytest.approx(below, rel=1e-4)
    assert judge.callback_metrics["val/error_deg"] == logged["val/t1/mean_deg"]
    assert "val/t2/mean_deg" not in logged


def test_each_validation_starts_anew(tmp_path: Path) -> None:
    learner, judge = task(), trainer(tmp_path)
    judge.validate(learner, loader([batch()]), verbose=False)
    again = judge.validate(learner, loader([batch(3, seed=1)]), verbose=False)[0]
    assert again == trainer(tmp_path).validate(task(), loader([batch(3, seed=1)]), verbose=False)[0]


@pytest.mark.parametrize(
    "weights",
    [
        {"rec": 1.0, "diff": 0.0, "tv": 0.0},
        WEIGHTS | {"perceptual": 1.0},
        WEIGHTS | {"tv": -1.0},
        dict.fromkeys(WEIGHTS, 0.0),
    ],
    ids=["missing", "unknown", "negative", "none"],
)
def test_weights_that_make_no_loss_are_refused(weights: dict[str, float]) -> None:
    with pytest.raises(UserError, match=r"task\.weights must .*got \{"):
        task(weights)


def test_frozen_weights_rest(tmp_path: Path) -> None:
    learner: Any = task()
    learner.generator.first.requires_grad_(False)
    before = state(learner.generator)
    fit(learner, tmp_path)
    assert torch.equal(learner.generator.first.weight, before["first.weight"])
    assert not torch.equal(learner.generator.block.weight, before["block.weight"])
