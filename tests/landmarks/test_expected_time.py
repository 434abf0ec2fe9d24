"""How long a training will take: from the pace of its own nets, said once, with what is left."""

from collections.abc import Callable

import pytest
import torch
from hydra.utils import instantiate
from omegaconf import DictConfig

from facegeo.landmarks import fit
from facegeo.landmarks.fit import expected_time, training_seconds


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
