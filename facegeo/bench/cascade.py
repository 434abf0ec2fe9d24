"""CCNN: the whole cascade from face boxes to points, beside what people use now."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from copy import deepcopy
from functools import partial
from typing import cast

import numpy as np
import torch
from torch import Tensor, nn

from facegeo.bench.case import Case
from facegeo.bench.naive_cascade import NaiveCascade, single_nets
from facegeo.bench.onnx_session import Run, cascade_file, has_onnx, session
from facegeo.bench.peers import Boxes, Find, peers
from facegeo.bench.pictures import decode, jpeg, picture
from facegeo.bench.timing import Candidate
from facegeo.files.images import Bytes
from facegeo.geometry.crops import FaceCrops
from facegeo.landmarks.graph import CascadeGraph, StoredCascade
from facegeo.landmarks.nets import POINTS, Cascade, NetBank, Stage, grey, standardise
from facegeo.predict.points import CascadePoints
from facegeo.training.recorded import Recorded

GROUP = "ccnn"


def cpu_cases(
    cascade: Cascade, batches: Sequence[int], threads: Sequence[int], missing: list[str]
) -> Iterator[Case]:
    """Cases on the CPU: from a JPEG file, from its pixels, and the nets alone.

    Args:
        cascade: In eval mode.
        batches: Faces of a picture.
        threads: Cores of a call.
        missing: Gets a line for each peer that is not there.
    """
    others = peers(missing)
    file = cascade_file(cascade) if has_onnx() else None
    for count in threads:
        ours = _ours(cascade)
        if file is not None:
            ours["one graph, ONNX Runtime"] = _onnx(session(file, count))
        for faces in batches:
            name = f"{_faces(faces)}, {count} thread{'s' * (count > 1)}"
            image, boxes = picture(faces)
            work = {
                "JPEG": _candidates(ours, others, partial(decode, jpeg(image)), boxes),
                "pixels": _candidates(ours, others, partial(np.asarray, image), boxes),
                "crops": _nets(cascade, faces),
            }
            for source, candidates in work.items():
                yield Case(GROUP, f"{name}, {source}", candidates, threads=count)


def cuda_cases(cascade: Cascade, batches: Sequence[int]) -> Iterator[Case]:
    """Cases on the current CUDA device: pixels in the CPU's memory or on it, and the nets alone.

    Args:
        cascade: In eval mode, on the CPU.
        batches: Faces of a picture.
    """
    points = CascadePoints(deepcopy(cascade), "cuda")
    nets, whole = Nets(deepcopy(cascade)).cuda(), StoredCascade(deepcopy(cascade)).cuda()
    for faces in batches:
        image, boxes = picture(faces)
        call = [Candidate("cascade", partial(points, [image], [boxes]), faces)]
        yield Case(GROUP, f"{_faces(faces)}, CUDA, pixels", call, device="cuda")
        given = [tensor.cuda() for tensor in stored(cascade, image, boxes)]
        calls = [
            Candidate("cascade", partial(whole, *given), faces),
            Candidate("cascade, recorded", partial(Recorded(whole), *given), faces),
        ]
        yield Case(GROUP, f"{_faces(faces)}, CUDA, pixels on it", calls, device="cuda")
        crops = [crop.cuda() for crop in _crops(cascade, faces)]
        calls = [
            Candidate("nets side by side", partial(nets, *crops), faces),
            Candidate("nets side by side, recorded", partial(Recorded(nets), *crops), faces),
        ]
        yield Case(GROUP, f"{_faces(faces)}, CUDA, crops", calls, device="cuda")


class Onlooker(nn.Module):
    """In place of a cascade: keeps what one is given.

    Args:
        cascade: Whose place it takes.
    """

    def __init__(self, cascade: Cascade) -> None:
        super().__init__()
        self.stages = cascade.stages

    def forward(self, crop: FaceCrops, canvas: Tensor) -> Tensor:
        """No points: zeros (B, T, 5, 2)."""
        self.crop, self.canvas = crop, canvas
        return canvas.new_zeros(len(canvas), len(self.stages), POINTS, 2)


def stored(cascade: Cascade, image: Bytes, boxes: Boxes) -> list[Tensor]:
    """What ``StoredCascade`` takes, as ``facegeo-predict`` prepares it."""
    onlooker = Onlooker(cascade)
    CascadePoints(cast(Cascade, onlooker), batch=len(boxes))([image], [boxes])
    crop, pixels = onlooker.crop, onlooker.crop.store
    parts = [pixels.pixels, pixels.offset, pixels.size, pixels.origin, crop.faces, crop.frames]
    return [*parts, onlooker.canvas]


class Nets(nn.Module):
    """The nets of all stages, crops given.

    Args:
        cascade: The cascade.
    """

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
    if all(isinstance(stage.bank, NetBank) for stage in cascade.by_name().values()):
        ways["loop of nets, a crop each"] = NaiveCascade(cascade)
    ways["cascade"] = lambda image, boxes: points([image], [boxes])[0]
    ways["one graph"] = lambda image, boxes: graph(torch.from_numpy(image), torch.from_numpy(boxes))
    return ways


def _onnx(run: Run) -> Find:
    return lambda image, boxes: run(image, boxes)[0]


def _candidates(
    ours: Mapping[str, Find],
    others: Mapping[str, tuple[Find, str]],
    load: Callable[[], Bytes],
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
    banks = [stage for stage in cascade.by_name().values() if isinstance(stage.bank, NetBank)]
    found = [Candidate("nets side by side", partial(nets, *crops), faces)]
    if len(banks) == len(crops):
        each = [single_nets(stage) for stage in banks]
        found.insert(0, Candidate("loop of nets", lambda: _looped(each, banks, crops), faces))
    return found


def _looped(
    each: Sequence[Sequence[nn.Module]], stages: Sequence[Stage], crops: Sequence[Tensor]
) -> list[Tensor]:
    """Votes of each stage, as ``Nets`` gives them."""
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


def _faces(count: int) -> str:
    return f"{count} face{'s' * (count > 1)}"
