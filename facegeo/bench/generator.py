"""Cas-FNE: the published network in eager mode against its fast form."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from copy import deepcopy
from functools import partial

import torch
from torch import Tensor, nn
from torch.export import Dim

from facegeo.bench.peers import has_onnx, session
from facegeo.bench.timing import Candidate, Case, counted
from facegeo.normals.cost import SIDE
from facegeo.training.recorded import Recorded
from facegeo.training.wing import fast_form, model_costs

GROUP = "casfne"
MATRIX = 8192
"""Side of the matrices whose product shows the rate that a GPU sustains in bfloat16."""


def cpu_cases(
    model: nn.Module, size: int, batches: Sequence[int], threads: Sequence[int], compiled: bool
) -> Iterator[Case]:
    """Cases on the CPU.

    Args:
        model: In eval mode.
        size: Side of the images, px.
        batches: Images of a call.
        threads: Cores of a call.
        compiled: Measure ``torch.compile`` too: two minutes more.
    """
    image = torch.rand(1, 3, size, size, generator=torch.Generator().manual_seed(0))
    fast, macs = fast_form(model), _macs(model, size)
    networks: dict[str, nn.Module] = {
        "published, eager": model,
        "fast form": fast,  # as facegeo-predict runs it
    }
    if compiled:
        networks["published, torch.compile"] = torch.compile(deepcopy(model))  # type: ignore[assignment]
        networks["fast form, torch.compile"] = torch.compile(fast_form(model))  # type: ignore[assignment]
    files = {}
    if has_onnx():
        files["published, ONNX Runtime"] = _onnx_file(model, size)
        files["fast form, ONNX Runtime"] = _onnx_file(fast_form(model, doubling="quarters"), size)
    for count in threads:
        for batch in batches:
            name = f"{counted(batch, 'image')}, {counted(count, 'thread')}"
            images = image.expand(batch, -1, -1, -1).contiguous()
            candidates = [
                Candidate(way, partial(network, images), batch, macs=batch * macs)
                for way, network in networks.items()
            ]
            candidates += [
                Candidate(
                    way, partial(session(file, count), images.numpy()), batch, macs=batch * macs
                )
                for way, file in files.items()
            ]
            yield Case(GROUP, name, candidates, threads=count)


def cuda_cases(model: nn.Module, size: int, batches: Sequence[int]) -> Iterator[Case]:
    """Cases on the current CUDA device: float32 (convolutions in TF32, torch's default), bfloat16.

    Args:
        model: In eval mode, on the CPU.
        size: Side of the images, px.
        batches: Images of a call.
    """
    eager, fast = deepcopy(model).cuda(), fast_form(model).cuda()
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
        yield Case(GROUP, f"{counted(batch, 'image')}, CUDA", candidates, device="cuda")


def _macs(model: nn.Module, size: int) -> float:
    """Multiplications of one image."""
    costs = model_costs(model).get(f"t{model.t}", {})
    return costs.get("macs", 0) * (size / SIDE) ** 2


def _onnx_file(network: nn.Module, size: int) -> bytes:
    """A generator as it is: images (B, 3, S, S) in, every stage's normals out."""
    from facegeo.export.programs import onnx_bytes

    images = torch.rand(2, 3, size, size)
    shapes = ({0: Dim("B", min=1)},)
    with torch.no_grad():
        program = torch.export.export(network, (images,), dynamic_shapes=shapes)
    return onnx_bytes(program, ["images"], [], {})
