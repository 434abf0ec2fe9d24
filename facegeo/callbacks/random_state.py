"""Random numbers that go on after a resume as if nothing had happened."""

from __future__ import annotations

from typing import Any

import torch
from lightning import Callback, LightningModule, Trainer
from torch import Tensor


class RandomState(Callback):
    """Keeps torch's generators in every checkpoint, for dropout; Lightning does not."""

    def __init__(self) -> None:
        self._restored: dict[str, Tensor] = {}

    def state_dict(self) -> dict[str, Any]:
        """States of the CPU and, where there is one, the current CUDA generator."""
        states = {"cpu": torch.get_rng_state()}
        if torch.cuda.is_available():
            states["cuda"] = torch.cuda.get_rng_state()
        return states

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Keep the states until training starts: setting up draws numbers too."""
        self._restored = dict(state_dict)

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Put the generators where the checkpoint left them."""
        if "cpu" in self._restored:
            torch.set_rng_state(self._restored["cpu"].cpu())
        if "cuda" in self._restored and torch.cuda.is_available():
            torch.cuda.set_rng_state(self._restored["cuda"].cpu())
        self._restored = {}
