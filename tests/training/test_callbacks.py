"""Random state and checkpoints of trainings."""

from pathlib import Path
from typing import Any

import pytest
import torch
from lightning import Callback, LightningModule, Trainer
from torch import Tensor
from torch.utils.data import DataLoader

from facegeo.errors import UserError
from facegeo.training.callbacks import BatchCheckpoints, RandomState, WholeCheckpoints


def test_random_numbers_resume_at_the_checkpoint() -> None:
    trainer, module = Trainer(logger=False, accelerator="cpu"), LightningModule()
    torch.manual_seed(0)
    torch.rand(5)
    state = RandomState().state_dict()
    wanted = torch.rand(3)
    later = RandomState()
    later.load_state_dict(state)
    torch.rand(7)  # setting up draws numbers
    later.on_train_start(trainer, module)
    assert torch.equal(torch.rand(3), wanted)
    after = torch.rand(3)
    later.on_train_start(trainer, module)  # a second training keeps the state
    assert not torch.equal(torch.rand(3), wanted)
    assert not torch.equal(after, wanted)


def test_a_new_training_draws_its_usual_random_numbers() -> None:
    trainer, module = Trainer(logger=False, accelerator="cpu"), LightningModule()
    torch.manual_seed(0)
    wanted = torch.rand(3)
    torch.manual_seed(0)
    RandomState().on_train_start(trainer, module)
    assert torch.equal(torch.rand(3), wanted)


def test_a_checkpoint_comes_back(tmp_path: Path) -> None:
    path = tmp_path / "new" / "last.ckpt"
    WholeCheckpoints().save_checkpoint({"a": torch.arange(3), "step": 7}, path)
    loaded = torch.load(path, weights_only=True)
    assert loaded["step"] == 7
    assert torch.equal(loaded["a"], torch.arange(3))
    assert [file.name for file in path.parent.iterdir()] == ["last.ckpt"]


def test_a_checkpoint_removes_the_half_one_of_a_killed_process(tmp_path: Path) -> None:
    (tmp_path / ".1.last.ckpt").write_bytes(b"half")
    WholeCheckpoints().save_checkpoint({"step": 7}, tmp_path / "last.ckpt")
    assert [file.name for file in tmp_path.iterdir()] == ["last.ckpt"]


pytestmark = [
    pytest.mark.filterwarnings("ignore:.*does not have many workers"),
    pytest.mark.filterwarnings("ignore:You defined a `validation_step` but have no"),
]


class Two(LightningModule):
    """Two optimizers step in each batch, whose numbers are its gradient and its loss."""

    def __init__(self) -> None:
        super().__init__()
        self.automatic_optimization, self.clip_norm = False, None
        self.weights = torch.nn.ParameterList(torch.zeros(2).unbind())

    def training_step(self, batch: Tensor, batch_idx: int) -> None:
        gradient, loss = batch[0]
        optimizers: Any = self.optimizers()
        for optimizer in optimizers:
            optimizer.zero_grad()
        self.manual_backward(gradient * sum(self.weights))
        for optimizer in optimizers:
            optimizer.step()
        self.log("train/loss", loss)

    def configure_optimizers(self) -> list[torch.optim.Optimizer]:
        return [torch.optim.SGD([weight], lr=1.0) for weight in self.weights]


class Look(Callback):
    """Batches of which the newest checkpoint knows, after each batch."""

    def __init__(self, path: Path) -> None:
        self.path, self.seen = path, list[int]()

    def on_train_batch_end(self, *_: object) -> None:
        self.seen.append(batches(self.path) if self.path.is_file() else 0)


def batches(path: Path) -> int:
    checkpoint = torch.load(path, weights_only=True)
    loop = checkpoint["loops"]["fit_loop"]["epoch_loop.batch_progress"]["current"]
    assert checkpoint["global_step"] == 2 * loop["ready"]
    return int(loop["ready"])


def train(folder: Path, rows: list[tuple[float, float]], *callbacks: Callback) -> None:
    trainer = Trainer(
        accelerator="cpu",
        max_epochs=1,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        default_root_dir=folder,
        callbacks=list(callbacks),
    )
    trainer.fit(Two(), DataLoader(torch.tensor(rows)))  # type: ignore[arg-type]


def test_checkpoints_come_every_few_batches_and_after_the_last(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "last.ckpt"
    look = Look(path)
    train(tmp_path, [(1.0, 1.0)] * 7, BatchCheckpoints(path, 3), look)
    assert look.seen == [0, 0, 3, 3, 3, 6, 7]
    assert [file.name for file in path.parent.iterdir()] == ["last.ckpt"]


@pytest.mark.parametrize(
    ("bad", "what"),
    [((1.0, float("nan")), "train/loss is nan"), ((1.0, float("inf")), "train/loss is inf")],
    ids=["nan", "inf"],
)
def test_a_diverged_training_keeps_the_checkpoint_before(
    tmp_path: Path, bad: tuple[float, float], what: str
) -> None:
    path = tmp_path / "last.ckpt"
    rows = [(1.0, 1.0)] * 4 + [bad] * 3
    message = rf"{what} at batch 6, wanted .*task\.clip_norm=1.*weights of batch 4 are kept"
    with pytest.raises(UserError, match=message):
        train(tmp_path, rows, BatchCheckpoints(path, 2))
    assert batches(path) == 4


def test_weights_that_are_not_finite_are_not_written(tmp_path: Path) -> None:
    path = tmp_path / "last.ckpt"
    rows = [(1.0, 1.0)] * 3 + [(float("inf"), 1.0)]
    with pytest.raises(UserError, match=r"weights\.0 is not finite at batch 4, wanted .*batch 2"):
        train(tmp_path, rows, BatchCheckpoints(path, 2))
    assert batches(path) == 2


def test_without_checkpoints_no_resuming_is_promised(tmp_path: Path) -> None:
    rows = [(1.0, float("nan"))] * 2
    with pytest.raises(UserError, match=r"at batch 2, wanted .*32-true\. No weights are kept yet"):
        train(tmp_path, rows, BatchCheckpoints(tmp_path / "last.ckpt", 2))
    assert not (tmp_path / "last.ckpt").exists()
