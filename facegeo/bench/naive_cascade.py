"""The cascade as one writes it down first: face by face, net by net, each window cut by itself."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F  # noqa: N812  torch's own habit
from torch import Tensor, nn

from facegeo.files.images import Bytes
from facegeo.geometry.windows import POINT_NAMES
from facegeo.landmarks.nets import Cascade, NetBank, Stage, grey, standardise
from facegeo.landmarks.pixels import LEVELS, pyramid, source_region


class NaiveCascade:
    """A loop over nets with a crop each; outputs equal the cascade's.

    Args:
        cascade: Of stages with a ``NetBank`` each.
    """

    def __init__(self, cascade: Cascade) -> None:
        self.stages = [(stage, single_nets(stage)) for stage in cascade.by_name().values()]

    def __call__(self, image: Bytes, boxes: npt.NDArray[np.float64]) -> npt.NDArray[np.float32]:
        """Points of every stage, px, (F, T, 5, 2), in boxes (F, 4) of an image (H, W, 3)."""
        return np.stack([self._find(image, box) for box in boxes])

    def _find(self, image: Bytes, box: npt.NDArray[np.float64]) -> npt.NDArray[np.float32]:
        height, width = image.shape[:2]
        x0, x1, y0, y1 = source_region(box, height, width)
        levels = [_unpacked(level) for level in pyramid(image[y0:y1, x0:x1], LEVELS)]
        low, side = torch.tensor(box[0::2]).float(), torch.tensor(box[1::2] - box[0::2]).float()
        size = torch.tensor([width, height])
        canvas = torch.cat([((size - 1) / 2 - low) / side, size / 2 / side])[None]
        points, found = torch.full((1, len(POINT_NAMES), 2), 0.5), []
        for stage, nets in self.stages:
            windows = stage.windows(points)
            votes = []
            for net, window in zip(nets, windows[0], strict=True):
                centre = window[:2] * side + low - torch.tensor([x0, y0])
                crop = _cut(levels, centre, window[2:] * side, stage.input_size)
                crop = grey(crop[None])[0] if stage.colour == "grey" else crop
                votes.append(net(standardise(crop[None])[0]))
            every = torch.cat(votes, dim=1).view(1, -1, 2)
            points = stage.fuse(every, stage.frames(windows, canvas))
            found.append(points[0] * side + low)
        return torch.stack(found).numpy()


def single_nets(stage: Stage) -> list[nn.Sequential]:
    """A stage's nets one by one, each from (B, C, S, S) to its outputs."""
    bank = stage.bank
    if not isinstance(bank, NetBank):
        raise ValueError(f"stage.bank must be a NetBank, got {type(bank).__name__}")
    lasts = zip(bank.fc2_weight.split(bank.outputs), bank.fc2_bias.split(bank.outputs), strict=True)
    nets = []
    for number, last in enumerate(lasts):
        layers: list[nn.Module] = []
        for weight, bias in zip(bank.conv_weights, bank.conv_biases, strict=True):
            out, inputs, kernel, _ = weight[number].shape
            conv = nn.Conv2d(inputs, out, kernel)
            layers += [_filled(conv, weight[number], bias[number]), nn.ReLU(), nn.MaxPool2d(2)]
        hidden = nn.Linear(bank.fc1_weight.shape[2], bank.fc1_weight.shape[1])
        layers += [nn.Flatten(), _filled(hidden, bank.fc1_weight[number], bank.fc1_bias[number])]
        end = nn.Linear(last[0].shape[1], last[0].shape[0])
        nets.append(nn.Sequential(*layers, nn.ReLU(), _filled(end, *last)).eval())
    return nets


def _filled(layer: nn.Conv2d | nn.Linear, weight: Tensor, bias: Tensor) -> nn.Module:
    layer.weight = nn.Parameter(weight.detach().clone())
    layer.bias = nn.Parameter(bias.detach().clone())
    return layer


def _unpacked(level: npt.NDArray[np.int32]) -> Tensor:
    """Colours (1, 3, h, w) in [0, 255] of a level of ``pyramid``."""
    rgba = np.ascontiguousarray(level).view(np.uint8).reshape(*level.shape, 4)
    return torch.from_numpy(rgba[..., :3].astype(np.float32)).permute(2, 0, 1)[None]


def _cut(levels: list[Tensor], centre: Tensor, half: Tensor, size: int) -> Tensor:
    """Crop (1, 3, S, S) in [0, 1] about ``centre``, px of the finest level: ``FaceCrops``' rule."""
    step = 2 * half / size
    number = int((step.prod().log2() / 2).round().clamp(0, len(levels) - 1))
    level = levels[number]
    ticks = torch.arange(size) - (size - 1) / 2
    x, y = ((c + s * ticks + 0.5) / 2**number - 0.5 for c, s in zip(centre, step, strict=True))
    height, width = level.shape[2:]
    rows, columns = torch.meshgrid(2 * y / (height - 1) - 1, 2 * x / (width - 1) - 1, indexing="ij")
    grid = torch.stack([columns, rows], dim=-1)[None]
    cut = F.grid_sample(level, grid, padding_mode="border", align_corners=True)
    return cut / 255
