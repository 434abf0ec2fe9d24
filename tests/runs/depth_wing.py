"""A third wing as small as can be: one layer finds the depth of random surfaces."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning import LightningDataModule, LightningModule, Trainer
from rich.console import Console
from torch import Tensor, nn
from torch.export import ExportedProgram
from torch.utils.data import DataLoader, TensorDataset

from facegeo.training.results import keep_metrics
from facegeo.training.wing import Difference, ExportForm, Scene, WingData


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

    def export_form(self, *_: object) -> ExportForm:
        return DepthForm(self)


class DepthForm(ExportForm):
    """One image in, its depth out."""

    task, inputs, outputs, texts = "depth of images", ("image",), ("depth",), {"frame": "z"}
    limits, columns, note = {"fp32": (1e-5, "at most")}, {"mean": 6, "worst": 6}, "of the depth"

    def __init__(self, net: DepthNet) -> None:
        self.net = net

    def program(self) -> ExportedProgram:
        return torch.export.export(self.net.eval(), (torch.rand(1, 3, 8, 8),))

    def plain(self, *inputs: Tensor) -> list[Tensor]:
        return [self.net(*inputs)]

    def compare(
        self, exported: Callable[..., Sequence[Tensor]], inputs: str, scenes: Iterable[Scene]
    ) -> Difference:
        images = [
            torch.from_numpy(one.image[:8, :8]).permute(2, 0, 1)[None] / 255 for one in scenes
        ]
        apart = [(exported(image)[0] - self.plain(image)[0]).abs().max().item() for image in images]
        return Difference(inputs, len(apart), (float(np.mean(apart)), max(apart)))


class DepthData(LightningDataModule, WingData):
    """Random images; their depth is the mean of the channels."""

    finds, title = "depth", "random surfaces"

    def __init__(self, faces: int = 16) -> None:
        super().__init__()
        images = torch.rand(faces, 3, 8, 8, generator=torch.Generator().manual_seed(0))
        self.faces = TensorDataset(images, images.mean(dim=1, keepdim=True))

    def train_dataloader(self) -> DataLoader[Any]:
        return DataLoader(self.faces, batch_size=4)

    def scenes(self, split: str, most: int | None = None) -> Iterator[Scene]:
        for image in self.faces.tensors[0][:most]:
            pixels = (255 * image).byte().permute(1, 2, 0).numpy()
            yield Scene(pixels, np.array([[0.0, 8, 0, 8]]))

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
