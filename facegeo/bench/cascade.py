"""CCNN: the whole cascade from face boxes to points, beside other programs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from copy import deepcopy
from functools import partial
from math import ceil, sqrt
from typing import cast

import cv2
import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F  # noqa: N812  torch's own habit
from torch import Tensor, nn

from facegeo.bench.peers import Boxes, Find, Pixels, has_onnx, peers, session
from facegeo.bench.timing import Candidate, Case, counted
from facegeo.geometry.crops import FaceCrops
from facegeo.geometry.windows import POINT_NAMES
from facegeo.landmarks.graph import CascadeGraph, StoredCascade
from facegeo.landmarks.nets import POINTS, Cascade, NetBank, Stage, grey, standardise
from facegeo.landmarks.pixels import LEVELS, pyramid, source_region
from facegeo.predict.points import CascadePoints
from facegeo.training.recorded import Recorded

GROUP = "ccnn"
CELL_PX = 250
"""Side of a picture of one face, as in LFW."""
BOX_PX = 89
"""Side of a face's box: the median of the LFPW lists."""


def picture(faces: int) -> tuple[Pixels, npt.NDArray[np.float64]]:
    """A picture with room for so many faces: noise, whose points cost as much as faces'.

    Returns:
        Red, green, blue, (H, W, 3), and boxes: left, right, top, bottom, px, (F, 4).
    """
    columns = ceil(sqrt(faces))
    rows = ceil(faces / columns)
    random = np.random.default_rng(0)
    noise = random.integers(0, 256, (rows * CELL_PX, columns * CELL_PX, 3), dtype=np.uint8)
    image = (cv2.GaussianBlur(noise, (0, 0), 4).astype(np.float32) - 127.5) * 6 + 127.5
    corner = CELL_PX * np.stack(np.divmod(np.arange(faces), columns)[::-1], axis=1)
    low = corner + (CELL_PX - BOX_PX) / 2 + random.uniform(-20, 20, (faces, 2))
    boxes = np.stack([low, low + BOX_PX], axis=2).reshape(faces, 4)
    return image.clip(0, 255).astype(np.uint8), boxes


def jpeg(image: Pixels) -> Pixels:
    """Encode a picture; bytes (N,)."""
    done, file = cv2.imencode(".jpg", image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 90])
    assert done
    return np.asarray(file, np.uint8)


def decode(file: Pixels) -> Pixels:
    """Red, green, blue, (H, W, 3), from a file's bytes."""
    bgr = cv2.imdecode(file, cv2.IMREAD_COLOR)
    assert bgr is not None
    return np.asarray(cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB), np.uint8)


def cpu_cases(
    cascade: Cascade, batches: Sequence[int], threads: Sequence[int], missing: list[str]
) -> Iterator[Case]:
    """Cases on the CPU: from a JPEG file, from its pixels, and the nets only.

    Args:
        cascade: In eval mode.
        batches: Faces of a picture.
        threads: Cores of a call.
        missing: Gets a line for each program that is not installed.
    """
    others = peers(missing)
    file = _onnx_file(cascade) if has_onnx() else None
    for count in threads:
        ours = _ours(cascade)
        if file is not None:
            ours["one graph, ONNX Runtime"] = session(file, count)  # points are its one output
        for faces in batches:
            name = f"{counted(faces, 'face')}, {counted(count, 'thread')}"
            image, boxes = picture(faces)
            work = {
                "JPEG": _candidates(ours, others, partial(decode, jpeg(image)), boxes),
                "pixels": _candidates(ours, others, partial(np.asarray, image), boxes),
                "crops": _nets(cascade, faces),
            }
            for source, candidates in work.items():
                yield Case(GROUP, f"{name}, {source}", candidates, threads=count)


def cuda_cases(cascade: Cascade, batches: Sequence[int]) -> Iterator[Case]:
    """Cases on the current CUDA device: pixels in the CPU's memory or on it, and the nets only.

    Args:
        cascade: In eval mode, on the CPU.
        batches: Faces of a picture.
    """
    points = CascadePoints(deepcopy(cascade), "cuda")
    nets, whole = Nets(deepcopy(cascade)).cuda(), StoredCascade(deepcopy(cascade)).cuda()
    for faces in batches:
        image, boxes = picture(faces)
        call = [Candidate("cascade", partial(points, [image], [boxes]), faces)]
        yield Case(GROUP, f"{counted(faces, 'face')}, CUDA, pixels", call, device="cuda")
        given = [tensor.cuda() for tensor in stored(cascade, image, boxes)]
        calls = [
            Candidate("cascade", partial(whole, *given), faces),
            Candidate("cascade, recorded", partial(Recorded(whole), *given), faces),
        ]
        yield Case(GROUP, f"{counted(faces, 'face')}, CUDA, pixels on it", calls, device="cuda")
        crops = [crop.cuda() for crop in _crops(cascade, faces)]
        calls = [
            Candidate("nets side by side", partial(nets, *crops), faces),
            Candidate("nets side by side, recorded", partial(Recorded(nets), *crops), faces),
        ]
        yield Case(GROUP, f"{counted(faces, 'face')}, CUDA, crops", calls, device="cuda")


class _Onlooker(nn.Module):
    """In place of a cascade: keeps the crops and the canvas that it is called with."""

    def __init__(self, cascade: Cascade) -> None:
        super().__init__()
        self.stages = cascade.stages

    def forward(self, crop: FaceCrops, canvas: Tensor) -> Tensor:
        """No points: zeros (B, T, 5, 2)."""
        self.crop, self.canvas = crop, canvas
        return canvas.new_zeros(len(canvas), len(self.stages), POINTS, 2)


def stored(cascade: Cascade, image: Pixels, boxes: Boxes) -> list[Tensor]:
    """Inputs of ``StoredCascade``, as ``facegeo-predict`` prepares them."""
    onlooker = _Onlooker(cascade)
    CascadePoints(cast(Cascade, onlooker), batch=len(boxes))([image], [boxes])
    crop, pixels = onlooker.crop, onlooker.crop.store
    parts = [pixels.pixels, pixels.offset, pixels.size, pixels.origin, crop.faces, crop.frames]
    return [*parts, onlooker.canvas]


class Nets(nn.Module):
    """The nets of all stages of a cascade, crops given."""

    def __init__(self, cascade: Cascade) -> None:
        super().__init__()
        self.cascade = cascade

    def forward(self, *crops: Tensor) -> tuple[Tensor, ...]:
        """Votes of each stage for its crops (B, W, 3, S, S)."""
        stages = self.cascade.by_name().values()
        return tuple(stage(own) for stage, own in zip(stages, crops, strict=True))


def _ours(cascade: Cascade) -> dict[str, Find]:
    """Ways to find points in boxes of an image, the straightforward one first."""
    points, graph = CascadePoints(cascade), CascadeGraph(cascade).eval()
    ways: dict[str, Find] = {}
    if _separable(cascade):
        ways["loop of nets, a crop each"] = NaiveCascade(cascade)
    ways["cascade"] = lambda image, boxes: points([image], [boxes])[0]
    ways["one graph"] = lambda image, boxes: graph(torch.from_numpy(image), torch.from_numpy(boxes))
    return ways


def _onnx_file(cascade: Cascade) -> bytes:
    """A cascade as ``facegeo-export`` writes it: image and boxes in, points out."""
    from facegeo.export.programs import onnx_bytes
    from facegeo.landmarks.export import CascadeForm

    form = CascadeForm(cascade)
    return onnx_bytes(form.program(), form.inputs, form.outputs, {})


def _candidates(
    ours: Mapping[str, Find],
    others: Mapping[str, tuple[Find, str]],
    load: Callable[[], Pixels],
    boxes: Boxes,
) -> list[Candidate]:
    def call(find: Find) -> Callable[[], object]:
        return lambda: find(load(), boxes)

    faces = len(boxes)
    found = [Candidate(name, call(find), faces) for name, find in ours.items()]
    return found + [
        Candidate(name, call(find), faces, compared=False, note=note)
        for name, (find, note) in others.items()
    ]


def _nets(cascade: Cascade, faces: int) -> list[Candidate]:
    crops, nets = _crops(cascade, faces), Nets(cascade)
    found = [Candidate("nets side by side", partial(nets, *crops), faces)]
    if _separable(cascade):
        stages = list(cascade.by_name().values())
        each = [single_nets(stage) for stage in stages]
        found.insert(0, Candidate("loop of nets", lambda: _looped(each, stages, crops), faces))
    return found


def _separable(cascade: Cascade) -> bool:
    return all(hasattr(stage.bank, "conv_weights") for stage in cascade.by_name().values())


def _looped(
    each: Sequence[Sequence[nn.Module]], stages: Sequence[Stage], crops: Sequence[Tensor]
) -> list[Tensor]:
    """Votes of each stage, as of ``Nets``."""
    votes = []
    for nets, stage, own in zip(each, stages, crops, strict=True):
        shown = standardise(grey(own) if stage.colour == "grey" else own)
        every = [net(shown[:, number]) for number, net in enumerate(nets)]
        votes.append(torch.cat(every, dim=1).unflatten(1, (-1, 2)))
    return votes


def _crops(cascade: Cascade, faces: int) -> list[Tensor]:
    random = torch.Generator().manual_seed(0)
    sizes = [(len(stage.names), stage.input_size) for stage in cascade.by_name().values()]
    return [torch.rand(faces, nets, 3, side, side, generator=random) for nets, side in sizes]


class NaiveCascade:
    """A straightforward cascade: a loop over faces and nets with a crop each; equal outputs.

    Args:
        cascade: Of stages with a ``NetBank`` each.
    """

    def __init__(self, cascade: Cascade) -> None:
        self.stages = [(stage, single_nets(stage)) for stage in cascade.by_name().values()]

    def __call__(self, image: Pixels, boxes: npt.NDArray[np.float64]) -> npt.NDArray[np.float32]:
        """Points of every stage, px, (F, T, 5, 2), in boxes (F, 4) of an image (H, W, 3)."""
        return np.stack([self._find(image, box) for box in boxes])

    def _find(self, image: Pixels, box: npt.NDArray[np.float64]) -> npt.NDArray[np.float32]:
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
    bank = cast(NetBank, stage.bank)
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
