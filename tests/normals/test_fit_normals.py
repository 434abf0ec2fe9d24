import hashlib
import json
import logging
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning import Callback, LightningModule, Trainer
from pydantic import ValidationError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.optim import Adam

from facegeo.errors import UserError, mistaken_values
from facegeo.geometry.normals import normalise
from facegeo.normals.augment import NormalAugment
from facegeo.normals.baselines import CARN
from facegeo.normals.losses import (
    AdversarialLoss,
    CosineLoss,
    NormalDifferenceLoss,
    TotalVariationLoss,
)
from facegeo.normals.metrics import NormalErrors
from facegeo.normals.photoface import PhotofaceDataModule
from facegeo.normals.task import GENERATOR, NormalGANTask, fit_normals
from facegeo.training.model_file import save_model
from facegeo.training.resnet import ResNet
from facegeo.training.schedules import cosine

FIXTURE = Path(__file__).parents[1] / "fixtures" / "sessions"
STEPS = 9  # batches, two steps of an optimizer each; a checkpoint every 2, a validation every 3

Weights = dict[str, Tensor]
Train = Callable[..., Weights]

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*does not have many workers"),
    pytest.mark.filterwarnings("ignore:.*resuming from a checkpoint that ended before the epoch"),
]


class Tiny(nn.Module):
    """Two stages of normals, with a layer that keeps buffers; takes what CasFNE does."""

    def __init__(self, *, buffers: bool = True, **_: object) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 4, 3, padding=1)
        self.norm = nn.BatchNorm2d(4) if buffers else nn.Identity()
        self.head, self.block = nn.Conv2d(4, 3, 1), nn.Conv2d(3, 3, 3, padding=1)

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        initial = normalise(self.head(torch.relu(self.norm(self.first(image)))), 1e-6)
        return initial, normalise(self.block(initial), 1e-6)


class Judge(nn.Sequential):
    """Logits of patches."""

    def __init__(self) -> None:
        super().__init__(nn.Conv2d(3, 4, 3, 2), nn.LeakyReLU(0.2), nn.Conv2d(4, 1, 3))


class Diary(Callback):
    """Writes down in each process what it saw, and with which weights it ended."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.rows = folder, list[list[int]]()

    def on_train_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: Weights, batch_idx: int
    ) -> None:
        self.rows.append(batch["sample"].tolist())

    def on_fit_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        name = f"rank{trainer.global_rank}"
        errors = {k: float(v) for k, v in trainer.callback_metrics.items() if k[:3] == "val"}
        (self.folder / f"{name}.json").write_text(json.dumps({"rows": self.rows} | errors))
        weights = {n: p.detach().clone() for n, p in pl_module.named_parameters()}
        save_file(weights, self.folder / f"{name}.safetensors")


class DiedError(Exception):
    """Stands for a kill."""


def same(one: Weights, other: Weights) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[key], other[key]) for key in one)


def faces(cache: Path, **options: Any) -> PhotofaceDataModule:
    augment = NormalAugment(flip=0.5, rotation_deg=10, scale_spread=0.1)
    options = {"size": 32, "batch_size": 2, "val_fraction": 0.25, "augment": augment} | options
    return PhotofaceDataModule(str(FIXTURE), str(cache), **options)


def task(generator: nn.Module, steps: int, **changes: Any) -> NormalGANTask:
    parts: dict[str, Any] = {
        "weights": {"rec": 1.0, "diff": 0.0, "tv": 0.002, "adv": 0.1},
        "rec": CosineLoss(),
        "diff": NormalDifferenceLoss(),
        "tv": TotalVariationLoss(),
        "adv": AdversarialLoss(),
        "discriminator": Judge,
        "metrics": NormalErrors(),
        "optimizer": partial(Adam, lr=0.01),
        "discriminator_optimizer": partial(Adam, lr=0.01),
        "scheduler": partial(cosine, warmup=2),
        "ema": 0.8,
    }
    return NormalGANTask(generator, steps=steps, **parts | changes)


MAKE_TRAINER = partial(
    Trainer,
    accelerator="cpu",
    logger=False,
    num_sanity_val_steps=0,
    enable_model_summary=False,
    use_distributed_sampler=False,
    enable_progress_bar=False,
)


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


def fit(folder: Path, cache: Path, **options: Any) -> Weights:
    """Train in a folder and return the weights of its file."""
    torch.manual_seed(0)
    generator = options.pop("generator", None) or Tiny()
    make_trainer = partial(MAKE_TRAINER, default_root_dir=folder, **options.pop("trainer", {}))
    data = options.pop("data", None) or faces(cache)
    make_task = options.pop("make_task", task)
    lengths = {"steps": STEPS, "checkpoint_every": 2, "validate_every": 3, "seed": 0}
    quiet = {"progress": False}
    fit_normals(generator, data, make_task, make_trainer, folder, **lengths | quiet | options)
    kept = load_file(folder / GENERATOR)
    assert same(kept, generator.state_dict())
    assert not generator.training
    return kept


@pytest.fixture
def train(tmp_path: Path, cache: Path) -> Train:
    """Trains in the folder ``name``."""

    def train_one(name: str, **options: Any) -> Weights:
        (tmp_path / name).mkdir(exist_ok=True)
        return fit(tmp_path / name, cache, **options)

    return train_one


@pytest.fixture(scope="module")
def whole(cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Weights:
    """Weights of a training that nothing disturbed."""
    return fit(tmp_path_factory.mktemp("whole"), cache)


@pytest.fixture
def die_at(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Let the n-th step of an optimizer from now on kill the training."""
    step = Adam.step

    def prepare(number: int) -> None:
        count = 0

        def dying(self: Adam, *args: Any, **kwargs: Any) -> object:
            nonlocal count
            count += 1
            if count == number:
                raise DiedError
            return step(self, *args, **kwargs)

        monkeypatch.setattr(Adam, "step", dying)

    return prepare


@pytest.fixture
def steps_taken(monkeypatch: pytest.MonkeyPatch) -> list[Adam]:
    """The optimizer of every step taken from now on."""
    step, taken = Adam.step, list[Adam]()

    def counting(self: Adam, *args: Any, **kwargs: Any) -> object:
        taken.append(self)
        return step(self, *args, **kwargs)

    monkeypatch.setattr(Adam, "step", counting)
    return taken


def test_length_is_counted_in_batches(
    train: Train, steps_taken: list[Adam], tmp_path: Path
) -> None:
    train("run", steps=5, checkpoint_every=3)
    assert len(steps_taken) == 10
    assert [each is steps_taken[0] for each in steps_taken] == [True, False] * 5
    last = torch.load(tmp_path / "run" / "checkpoints" / "last.ckpt", weights_only=True)
    assert last["loops"]["fit_loop"]["epoch_loop.batch_progress"]["current"]["ready"] == 5
    train("short", max_steps=4)
    assert len(steps_taken) == 18
    train("longer", max_steps=100, steps=1)
    assert len(steps_taken) == 20


def test_same_seed_same_weights_and_another_seed_others(train: Train, whole: Weights) -> None:
    assert same(train("again"), whole)
    assert not same(train("other", seed=1), whole)  # of the discriminator


@pytest.mark.parametrize(
    "steps",
    [
        [2],  # in the first batch, between its two steps
        [13],  # of the seventh batch: behind two validations, right behind a checkpoint
        [10, 4, 1, 2, 9],  # wherever that is
    ],
    ids=str,
)
def test_a_killed_training_resumes_to_the_same_weights(
    train: Train, whole: Weights, die_at: Callable[[int], None], steps: list[int]
) -> None:
    for number in steps:
        die_at(number)
        with pytest.raises(DiedError):
            train("killed")
    die_at(0)
    assert same(train("killed"), whole)


@pytest.mark.parametrize("every", [2, 3], ids=["behind-a-checkpoint", "with-none-left-to-do"])
def test_a_kill_between_the_last_step_and_the_file(
    train: Train, whole: Weights, monkeypatch: pytest.MonkeyPatch, every: int
) -> None:
    def die(*_: object) -> None:
        raise DiedError

    with monkeypatch.context() as patch:
        patch.setattr("facegeo.normals.task.save", die)
        with pytest.raises(DiedError):
            train("killed", checkpoint_every=every)
    assert same(train("killed", checkpoint_every=every), whole)


def test_finished_stages_are_not_trained_again(train: Train, steps_taken: list[Adam]) -> None:
    first = train("run")
    taken = len(steps_taken)
    assert same(train("run"), first)
    assert len(steps_taken) == taken


def test_workers_change_nothing_even_of_colours(train: Train, cache: Path) -> None:
    pytest.importorskip("albumentations", reason='needs pip install "facegeo[augment]"')
    from facegeo.normals.augment import Photometric

    colours = Photometric({"RandomGamma": {"p": 1.0}, "GaussNoise": {"p": 0.5}})
    augment = NormalAugment(flip=0.5, rotation_deg=10, photometric=colours)
    weights = [
        train(f"workers{number}", steps=3, data=faces(cache, num_workers=number, augment=augment))
        for number in (0, 2)
    ]
    assert same(*weights)


def test_the_running_mean_is_what_the_file_keeps(train: Train) -> None:
    learners: list[NormalGANTask] = []

    def remember(**parts: Any) -> NormalGANTask:
        learners.append(task(**parts))
        return learners[0]

    kept = train("run", make_task=remember)
    (learner,) = learners
    assert same(kept, learner.trained.state_dict())
    assert learner.trained is not learner.generator
    plain = train("plain", make_task=partial(task, ema=None))
    assert not same(kept, plain)


def test_all_faces_can_be_trained_on(train: Train, cache: Path) -> None:
    still = Tiny().state_dict()
    data = faces(cache, val_fraction=0.0)
    moved = train("run", data=data, steps=2, make_task=partial(task, ema=None))
    assert len(data.faces("train")) == 24
    assert not any(torch.equal(moved[key], still[key]) for key in still)


def test_a_callback_gets_the_runs_folder(train: Train, tmp_path: Path) -> None:
    train("run", callbacks=[Diary], steps=3)
    seen = json.loads((tmp_path / "run" / "rank0.json").read_text())
    assert [len(rows) for rows in seen["rows"]] == [2, 2, 2]
    assert 0 < seen["val/t1/mean_deg"] < 180


def test_lengths_below_one_batch_are_refused_all_at_once(train: Train) -> None:
    keys = ("steps", "checkpoint_every", "validate_every", "max_steps")
    with pytest.raises(ValidationError) as caught:
        train("run", **dict.fromkeys(keys, 0))
    for key in keys:
        assert f"{key} must be greater than or equal to 1, got 0" in mistaken_values(
            caught.value.errors()
        )


def test_first_weights_are_for_an_encoder(train: Train) -> None:
    message = r"procedure\.weights=imagenet is for generators with a ResNet encoder, got Tiny"
    with pytest.raises(UserError, match=message):
        train("run", weights="imagenet")


class Encoded(Tiny):
    """A generator with an encoder, which it leaves alone."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = ResNet(18).requires_grad_(False)


def test_first_weights_of_a_file_are_taken_and_recorded(tmp_path: Path, cache: Path) -> None:
    torch.manual_seed(7)
    given, file = ResNet(18).state_dict(), tmp_path / "resnet.safetensors"
    save_file(given, file)
    generator = Encoded()
    options: dict[str, Any] = {"steps": 1, "checkpoint_every": 1, "validate_every": 1, "seed": 0}
    options |= {"weights": str(file), "progress": False}
    plain = partial(task, ema=None)
    trainer = partial(MAKE_TRAINER, default_root_dir=tmp_path)
    record = fit_normals(generator, faces(cache), plain, trainer, tmp_path, **options)
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    assert record == {"weights": str(file), "sha256": digest}
    assert same(dict(generator.encoder.state_dict()), given)


def test_a_training_starts_from_the_whole_generator_of_a_model(tmp_path: Path, cache: Path) -> None:
    config = {"_target_": "facegeo.normals.baselines.CARN", "width": 4}
    torch.manual_seed(7)
    given, file = CARN(width=4), tmp_path / "carn.safetensors"
    save_model(file, given, config, {})
    generator = CARN(width=4)
    options: dict[str, Any] = {"steps": 1, "checkpoint_every": 1, "validate_every": 1, "seed": 0}
    options |= {"weights": str(file), "progress": False}
    still = partial(task, ema=None, optimizer=partial(Adam, lr=1e-12))
    trainer = partial(MAKE_TRAINER, default_root_dir=tmp_path)
    record = fit_normals(generator, faces(cache), still, trainer, tmp_path / "run", **options)
    assert record["sha256"] == hashlib.sha256(file.read_bytes()).hexdigest()
    pairs = zip(generator.parameters(), given.parameters(), strict=True)
    assert all(torch.allclose(one, other, atol=1e-9) for one, other in pairs)
    with pytest.raises(UserError, match="holds another network than model="):
        fit_normals(Tiny(), faces(cache), still, trainer, tmp_path / "other", **options)


def test_a_resumed_training_says_where_it_resumes(
    train: Train, die_at: Callable[[int], None], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="facegeo")
    die_at(10)  # the last step of batch 5: the last checkpoint is that of batch 4
    with pytest.raises(DiedError):
        train("run", progress=True, trainer={"enable_progress_bar": True})
    assert "goes on" not in caplog.text
    assert "normals after 3 batches: val/error_deg" in caplog.text
    die_at(0)
    caplog.clear()
    train("run", progress=True, trainer={"enable_progress_bar": True})
    first, *rest = (record.message for record in caplog.records if "facegeo" in record.name)
    assert first == "normals continues from its checkpoint after 4 batches"
    assert [line.split(":")[0] for line in rest] == [
        f"normals after {done} batches" for done in (6, 9)
    ]


def test_a_lost_training_leaves_nothing_to_resume_from(train: Train, tmp_path: Path) -> None:
    wild = partial(task, optimizer=partial(Adam, lr=float("inf")))
    with pytest.raises(UserError, match=r"at batch 2, wanted a finite number; lower task"):
        train("run", make_task=wild)
    assert not (tmp_path / "run" / "checkpoints").exists()


SCRIPT = "from facegeo.cli.train import main; main()"
COMMAND = [  # of a short training with the stub, whatever the experiment's networks are
    "experiment=casfne/paper",
    "data=fixture_sessions",
    f"data.root={FIXTURE}",
    "data.batch_size=2",
    "model._target_=test_fit_normals.Tiny",
    "task.discriminator._target_=test_fit_normals.Judge",
    "task.optimizer.lr=0.01",
    "trainer.accelerator=cpu",
    "trainer.enable_progress_bar=false",
    "splits=[val]",
]


@pytest.fixture
def command(tmp_path: Path, cache: Path) -> Callable[..., list[str]]:
    """What a user types, as a file: Lightning starts it anew for each further process."""
    script = tmp_path / "train.py"
    script.write_text(f"import sys; sys.path.append({str(Path(__file__).parent)!r}); {SCRIPT}\n")

    def build(name: str, *overrides: str) -> list[str]:
        places = [f"data.cache_dir={cache}", f"out={tmp_path}", f"name={name}"]
        return [sys.executable, str(script), *COMMAND, *places, *overrides]

    return build


def run_through(arguments: list[str]) -> "subprocess.CompletedProcess[str]":
    done = subprocess.run(arguments, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done


@pytest.mark.slow
def test_a_training_that_is_killed_for_real(
    command: Callable[..., list[str]], tmp_path: Path
) -> None:
    options = ["procedure.steps=150", "procedure.checkpoint_every=5", "task.ema=0.9"]
    options += ["procedure.callbacks=[]"]
    options += ["task.scheduler={_target_:facegeo.training.schedules.cosine,_partial_:true}"]
    run_through(command("whole", *options))
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    process = subprocess.Popen(command("killed", *options), **quiet)
    while not (tmp_path / "killed" / "checkpoints" / "last.ckpt").is_file():
        assert process.poll() is None, "the training ended before it could be killed"
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    assert not (tmp_path / "killed" / GENERATOR).exists()
    run_through(command("killed", *options))
    weights = [load_file(tmp_path / name / GENERATOR) for name in ("killed", "whole")]
    assert same(*weights)


@pytest.mark.slow
def test_two_processes_train_as_one_with_the_joint_batch(
    command: Callable[..., list[str]], tmp_path: Path
) -> None:
    options = ["procedure.steps=4", "procedure.validate_every=4", "task.ema=0.5"]
    options += ["+model.buffers=false"]  # statistics of a batch are each process's own
    options += ["procedure.callbacks=[{_target_:test_fit_normals.Diary,_partial_:true}]"]
    two = ["trainer=ddp", "trainer.accelerator=cpu", "trainer.devices=2"]
    two += ["trainer.enable_progress_bar=false"]
    runs = {"two": command("two", *options, *two)}
    runs["one"] = command("one", *options, "data.batch_size=4")
    for arguments in runs.values():
        done = run_through(arguments)
        assert done.stdout.count("Numbers, tables and pictures") == 1
        assert "sync_dist" not in done.stderr
    first, second, one = (
        json.loads((tmp_path / f"{name}.json").read_text())
        for name in ("two/rank0", "two/rank1", "one/rank0")
    )
    joint = [a + b for a, b in zip(first["rows"], second["rows"], strict=True)]
    assert joint == one["rows"]
    assert first["val/t1/mean_deg"] == second["val/t1/mean_deg"]
    assert first["val/t1/mean_deg"] == pytest.approx(one["val/t1/mean_deg"], rel=1e-4)
    ours, theirs, alone = (
        load_file(tmp_path / f"{name}.safetensors")
        for name in ("two/rank0", "two/rank1", "one/rank0")
    )
    assert same(ours, theirs)
    torch.testing.assert_close(ours, alone, rtol=1e-3, atol=1e-5)
    metrics = [json.loads((tmp_path / n / "metrics.json").read_text()) for n in ("two", "one")]
    assert metrics[0] == pytest.approx(metrics[1], rel=1e-3)
