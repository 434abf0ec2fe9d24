"""A third wing as small as can be: one layer finds the depth of random surfaces."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from lightning import LightningDataModule, LightningModule, Trainer
from rich.console import Console
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from facegeo.training.results import keep_metrics
from facegeo.training.wing import WingData


class DepthNet(nn.Module):
    """Maps images (B, 3, 8, 8) to depth (B, 1, 8, 8)."""

    finds = "depth"

    def __init__(self, kernel: int = 1) -> None:
        super().__init__()
        self.layer = nn.Conv2d(3, 1, kernel, padding="same")

    def forward(self, image: Tensor) -> Tensor:
        return torch.as_tensor(self.layer(image))

    def costs(self) -> dict[str, dict[str, int]]:
        return {"depth": {"parameters": sum(p.numel() for p in self.parameters()), "macs": 192}}


class DepthData(LightningDataModule, WingData):
    """Random images; their depth is the mean of the channels."""

    finds, title = "depth", "random surfaces"

    def __init__(self, faces: int = 16) -> None:
        super().__init__()
        images = torch.rand(faces, 3, 8, 8, generator=torch.Generator().manual_seed(0))
        self.faces = TensorDataset(images, images.mean(dim=1, keepdim=True))

    def train_dataloader(self) -> DataLoader[Any]:
        return DataLoader(self.faces, batch_size=4)

    def report(
        self, model: nn.Module, folder: Path, splits: Sequence[str], **how: Any
    ) -> dict[str, float]:
        images, depth = self.faces.tensors
        with torch.no_grad():
            rmse = (model.cpu()(images) - depth).square().mean().sqrt().item()
        results = {f"{split}/depth/rmse": rmse for split in splits}
        keep_metrics(folder, results, how.get("console") or Console())
        return results


class DepthTask(LightningModule):
    def __init__(self, net: nn.Module, optimizer: Callable[..., torch.optim.Optimizer]) -> None:
        super().__init__()
        self.net, self._optimizer = net, optimizer

    def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> Tensor:
        image, depth = batch
        return nn.functional.mse_loss(self.net(image), depth)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return self._optimizer(self.net.parameters())


def fit_depth(
    model: nn.Module,
    data: DepthData,
    make_task: Callable[..., LightningModule],
    make_trainer: Callable[..., Trainer],
    folder: Path,
    *,
    steps: int,
    shared: object = None,
) -> dict[str, object]:
    trainer = make_trainer(max_steps=steps, enable_checkpointing=False)
    trainer.fit(make_task(net=model), datamodule=data)
    return {}
