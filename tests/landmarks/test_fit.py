import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from hydra.utils import instantiate
from omegaconf import DictConfig
from safetensors.torch import load_file
from torch import Tensor

from facegeo.errors import UserError
from facegeo.landmarks import fit
from facegeo.landmarks.fit import expected_time, training_seconds
from facegeo.runs.train import run

Compose = Callable[..., DictConfig]
STAGES = ("stage1", "stage2", "stage3")  # of 12, 10 and 8 steps; a checkpoint every 4

pytestmark = [
    # Two workers at most, and checkpoints in the middle of the one endless epoch, are meant so.
    pytest.mark.filterwarnings("ignore:.*does not have many workers"),
    pytest.mark.filterwarnings("ignore:.*resuming from a checkpoint that ended before the epoch"),
    pytest.mark.filterwarnings("ignore:Checkpoint directory .* exists and is not empty"),
]


class DiedError(Exception):
    """Simulates a kill."""


def weights(folder: Path) -> dict[str, Tensor]:
    return {
        f"{stage}.{name}": tensor
        for stage in STAGES
        for name, tensor in load_file(folder / f"{stage}.safetensors").items()
    }


def same(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[key], other[key]) for key in one)


@pytest.fixture(scope="module")
def whole(tiny_config: Compose, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Tensor]:
    """Weights of a training that nothing disturbed."""
    folder = tmp_path_factory.mktemp("whole")
    run(tiny_config(f"out={folder}", "name=run", "splits=[test]"))
    return weights(folder / "run")


@pytest.fixture
def train(tiny_config: Compose, tmp_path: Path) -> Callable[..., dict[str, Tensor]]:
    """Trains in the folder ``name`` and returns all weights; measures nothing."""

    def train_one(name: str, *overrides: str) -> dict[str, Tensor]:
        run(tiny_config(f"out={tmp_path}", f"name={name}", "splits=[test]", *overrides))
        return weights(tmp_path / name)

    return train_one


@pytest.fixture
def die_at(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Let the optimizer's n-th step from now on, counted over all stages, kill the training."""
    step = torch.optim.Adam.step

    def prepare(number: int) -> None:
        count = 0

        def dying(self: torch.optim.Adam, *args: object, **kwargs: object) -> object:
            nonlocal count
            count += 1
            if count == number:
                raise DiedError
            return step(self, *args, **kwargs)  # type: ignore[arg-type]

        monkeypatch.setattr(torch.optim.Adam, "step", dying)

    return prepare


def test_same_seed_same_weights_and_another_seed_others(
    train: Callable[..., dict[str, Tensor]], whole: dict[str, Tensor]
) -> None:
    assert same(train("again"), whole)
    other = train("other", "seed=1")
    assert not any(torch.equal(whole[key], other[key]) for key in whole)


@pytest.mark.parametrize(
    "steps",
    [
        [13],  # the first of stage 2: before its first checkpoint
        [7],  # behind validation, three steps behind a checkpoint
        [5, 5, 5, 5, 5, 5, 5],  # wherever that is
    ],
    ids=str,
)
def test_a_killed_training_resumes_to_the_same_weights(
    train: Callable[..., dict[str, Tensor]],
    whole: dict[str, Tensor],
    die_at: Callable[[int], None],
    steps: list[int],
) -> None:
    for number in steps:
        die_at(number)
        with pytest.raises(DiedError):
            train("killed")
    die_at(0)
    assert same(train("killed"), whole)


def test_a_kill_between_the_last_step_and_the_stages_file(
    train: Callable[..., dict[str, Tensor]],
    whole: dict[str, Tensor],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def die(*_: object) -> None:
        raise DiedError

    with monkeypatch.context() as patch:
        patch.setattr("facegeo.landmarks.fit.save", die)
        with pytest.raises(DiedError):
            train("killed")
    assert same(train("killed"), whole)


def test_a_kill_while_a_checkpoint_is_written(
    train: Callable[..., dict[str, Tensor]],
    whole: dict[str, Tensor],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    save, calls = torch.save, 0

    def torn(checkpoint: object, path: Path) -> None:
        nonlocal calls
        calls += 1
        save(checkpoint, path)
        if calls == 2:  # of three in stage 1
            os.truncate(path, 1000)
            raise DiedError

    with monkeypatch.context() as patch:
        patch.setattr(torch, "save", torn)
        with pytest.raises(DiedError):
            train("killed")
    assert same(train("killed"), whole)


def test_workers_change_nothing(
    train: Callable[..., dict[str, Tensor]], whole: dict[str, Tensor]
) -> None:
    assert same(train("helped", "data.num_workers=1"), whole)


def test_a_trained_stage_is_not_trained_again(
    train: Callable[..., dict[str, Tensor]], die_at: Callable[[int], None], tmp_path: Path
) -> None:
    trained = train("run")
    die_at(1)
    assert same(train("run"), trained)
    # Checkpoints hold tensors and plain values alone.
    for stage, steps in zip(STAGES, (12, 10, 8), strict=True):
        (file,) = (tmp_path / "run" / "checkpoints" / stage).iterdir()
        assert file.name == "last.ckpt"
        assert torch.load(file, weights_only=True)["global_step"] == steps


def test_all_faces_can_be_trained_on_and_every_weight_moves(
    train: Callable[..., dict[str, Tensor]],
) -> None:
    steps = "procedure.steps={stage1:2,stage2:2,stage3:2}"
    short = train("short", "data.val_fraction=0", steps)
    still = train("still", "data.val_fraction=0", steps, "task.optimizer.lr=0")
    assert not any(torch.equal(short[key], still[key]) for key in short)


def test_a_stage_that_diverges_is_not_saved(
    train: Callable[..., dict[str, Tensor]], tmp_path: Path
) -> None:
    with pytest.raises(
        UserError,
        match=r"(train/loss|bank).* at batch 4, wanted a finite .* lower task\.optimizer\.lr",
    ):
        train("lost", "task.optimizer.lr=1e30")
    assert not (tmp_path / "lost/stage1.safetensors").exists()


def test_a_stage_without_steps_is_refused(train: Callable[..., dict[str, Tensor]]) -> None:
    with pytest.raises(UserError, match=r"procedure.steps has no entry for \['stage2'\]"):
        train("run", "~procedure.steps.stage2")


@pytest.mark.parametrize("key", ["steps.stage1", "checkpoint_every", "validate_every", "max_steps"])
def test_a_length_below_one_batch_is_refused(
    train: Callable[..., dict[str, Tensor]], key: str
) -> None:
    with pytest.raises(
        UserError, match=rf"procedure\.{key.split('.')[0]} must be greater than 0, got .*-3"
    ):
        train("run", f"procedure.{key}=-3")


@pytest.mark.slow
def test_a_training_that_is_killed_for_real(
    train: Callable[..., dict[str, Tensor]], tiny_overrides: list[str], tmp_path: Path
) -> None:
    longer = "procedure.steps={stage1:12,stage2:400,stage3:8}"
    whole = train("whole", longer)
    call = "from facegeo.cli.train import main; main()"
    arguments = [*tiny_overrides, f"out={tmp_path}", "name=killed", "splits=[test]", longer]
    command = [sys.executable, "-c", call, *arguments]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while not (tmp_path / "killed" / "checkpoints" / "stage2" / "last.ckpt").is_file():
        assert process.poll() is None, "the training ended before it could be killed"
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    assert not (tmp_path / "killed" / "stage2.safetensors").exists()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    assert same(weights(tmp_path / "killed"), whole)


def test_the_estimate_counts_the_batches_of_the_stages_that_are_left(
    tiny_config: Callable[..., DictConfig], monkeypatch: pytest.MonkeyPatch
) -> None:
    cascade = instantiate(tiny_config().model)
    sizes: list[int] = []

    def seconds(stage: torch.nn.Module, batch_size: int, device: str) -> float:
        sizes.append(batch_size)
        return {20: 2.0, 15: 1.0}[stage.input_size]

    monkeypatch.setattr(fit, "_batch_seconds", seconds)
    found = training_seconds(cascade, {"stage1": 10, "stage2": 5}, 8, "cpu")
    assert found == pytest.approx(fit.BESIDE_NETS * 25)
    assert sizes == [8, 8]
    assert training_seconds(cascade, {}, 8, "cpu") == 0


def test_timing_draws_no_number_and_changes_no_weight(
    tiny_config: Callable[..., DictConfig],
) -> None:
    cascade = instantiate(tiny_config().model)
    before = {name: value.clone() for name, value in cascade.state_dict().items()}
    state = torch.get_rng_state()
    assert training_seconds(cascade, {"stage1": 3}, 2, "cpu") > 0
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(before[name], value) for name, value in cascade.state_dict().items())
    assert all(parameter.grad is None for parameter in cascade.parameters())


@pytest.mark.parametrize(
    ("training_s", "rendering_s", "words"),
    [
        (130.0, 0.0, "about 2.5 minutes on this machine: 2 to train"),
        (130.0, 80.0, "about 4 minutes on this machine: 1.5 to render faces, 2 to train"),
        (1.0, 0.0, "about 0.5 minutes on this machine: 0.5 to train"),
    ],
)
def test_minutes_are_rounded_to_halves(training_s: float, rendering_s: float, words: str) -> None:
    assert expected_time(training_s, rendering_s).endswith(words)
