import torch
from lightning import LightningModule, Trainer

from facegeo.training.callbacks import RandomState


def test_numbers_go_on_where_the_checkpoint_was_made() -> None:
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
