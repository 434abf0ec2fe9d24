"""Cas-FNE: the published network, straightforward and eager, against its fast form."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from copy import deepcopy
from functools import partial
from typing import cast

import torch
from torch import Tensor, nn

from facegeo.bench.case import Case
from facegeo.bench.onnx_session import generator_file, has_onnx, session
from facegeo.bench.timing import Candidate
from facegeo.normals.cost import SIDE, profile_generator
from facegeo.normals.fast import fast_generator
from facegeo.normals.generator import CasFNE
from facegeo.training.recorded import Recorded

GROUP = "casfne"
PREDICTS = "fast form"
"""What ``facegeo-predict`` runs."""
MATRIX = 8192
"""Side of the matrices that show what a GPU sustains in bfloat16."""


def cpu_cases(
    model: CasFNE, size: int, batches: Sequence[int], threads: Sequence[int], compiled: bool
) -> Iterator[Case]:
    """Cases on the CPU.

    Args:
        model: In eval mode.
        size: Side of the images, px.
        batches: Images of a call.
        threads: Cores of a call.
        compiled: Take ``torch.compile`` in: two minutes more.
    """
    image = torch.rand(1, 3, size, size, generator=torch.Generator().manual_seed(0))
    fast, macs = fast_generator(model), _macs(model, size)
    networks: dict[str, nn.Module] = {
        "published, eager": model,
        PREDICTS: fast,
    }
    if compiled:
        networks["published, torch.compile"] = torch.compile(deepcopy(model))  # type: ignore[assignment]
        networks["fast form, torch.compile"] = torch.compile(fast_generator(model))  # type: ignore[assignment]
    files = {}
    if has_onnx():
        files["published, ONNX Runtime"] = generator_file(model, size)
        files["fast form, ONNX Runtime"] = generator_file(fast_generator(model, "quarters"), size)
    for count in threads:
        for batch in batches:
            images = image.expand(batch, -1, -1, -1).contiguous()
            candidates = [
                Candidate(name, partial(network, images), batch, macs=batch * macs)
                for name, network in networks.items()
            ]
            candidates += [
                Candidate(
                    name, partial(session(file, count), images.numpy()), batch, macs=batch * macs
                )
                for name, file in files.items()
            ]
            yield Case(GROUP, _name(batch, count), candidates, threads=count)


def cuda_cases(model: CasFNE, size: int, batches: Sequence[int]) -> Iterator[Case]:
    """Cases on the current CUDA device: float32 (convolutions in TF32, torch's default), bfloat16.

    Args:
        model: In eval mode, on the CPU.
        size: Side of the images, px.
        batches: Images of a call.
    """
    eager, fast = deepcopy(model).cuda(), fast_generator(model).cuda()
    halves = deepcopy(fast).to(torch.bfloat16)
    matrix = torch.rand(MATRIX, MATRIX, device="cuda", dtype=torch.bfloat16)
    for batch in batches:
        images = torch.rand(batch, 3, size, size, device="cuda")
        networks: dict[str, Callable[[Tensor], object]] = {
            "published, eager": eager,
            "fast form": fast,
            "fast form, recorded": Recorded(fast),
            "fast form, bfloat16, recorded": Recorded(halves),
        }
        candidates = [
            Candidate(
                name,
                partial(network, images),
                batch,
                compared="bfloat16" not in name,
                macs=batch * _macs(model, size),
            )
            for name, network in networks.items()
        ]
        product = partial(torch.mm, matrix, matrix)
        candidates.append(
            Candidate(
                "(bfloat16 matrices)", product, batch, False, MATRIX**3, "what the GPU sustains"
            )
        )
        yield Case(GROUP, f"{_images(batch)}, CUDA", candidates, device="cuda")


def _macs(model: CasFNE, size: int) -> float:
    """Multiplications of one image."""
    return cast(int, profile_generator(model)["macs"]) * (size / SIDE) ** 2


def _name(batch: int, threads: int) -> str:
    return f"{_images(batch)}, {threads} thread{'s' * (threads > 1)}"


def _images(batch: int) -> str:
    return f"{batch} image{'s' * (batch > 1)}"
