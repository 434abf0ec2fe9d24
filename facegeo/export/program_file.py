"""Traced programs as ``torch.export``'s own files, and how they are called."""

from __future__ import annotations

import io
import json
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch.export import ExportedProgram

import facegeo.geometry.region_pyramid  # noqa: F401  defines an operator that cascades call

METADATA = "facegeo.json"
"""Name of the texts beside the program in the file."""

Floats = npt.NDArray[np.floating[Any]]


def program_bytes(program: ExportedProgram, metadata: Mapping[str, str]) -> bytes:
    """A traced program and its texts as a ``.pt2`` file."""
    file = io.BytesIO()
    with warnings.catch_warnings():  # of weights that lie channels last, which are whole
        warnings.filterwarnings("ignore", message="No complete tensor found in the group")
        torch.export.save(program, file, extra_files={METADATA: json.dumps(dict(metadata))})
    return file.getvalue()


class ProgramCascade:
    """A cascade in a ``.pt2`` file, called as ``OnnxCascade`` is.

    Args:
        path: File that ``facegeo-export format=torch_export`` wrote.
    """

    def __init__(self, path: Path) -> None:
        self._module, self.metadata = _load(path)

    def __call__(self, image: npt.NDArray[np.uint8], boxes: Floats) -> Floats:
        """Points after each stage, image px, (F, T, 5, 2)."""
        found: torch.Tensor = self._module(torch.from_numpy(image), torch.from_numpy(boxes))
        return found.numpy()


class ProgramNormals:
    """A generator of normals in a ``.pt2`` file, called as ``OnnxNormals`` is.

    Args:
        path: File that ``facegeo-export format=torch_export`` wrote.
    """

    def __init__(self, path: Path) -> None:
        self._module, self.metadata = _load(path)

    def __call__(self, images: Floats) -> tuple[Floats, ...]:
        """Normals (B, 3, S, S) of each stage."""
        return tuple(stage.numpy() for stage in self._module(torch.from_numpy(images)))


def _load(path: Path) -> tuple[torch.nn.Module, dict[str, str]]:
    extra = {METADATA: ""}
    program = torch.export.load(io.BytesIO(path.read_bytes()), extra_files=extra)
    return program.module(), json.loads(extra[METADATA])
