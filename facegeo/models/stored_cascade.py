"""The cascade on pixels that lie on its device: tensors in, tensors out, no wait in between.

That is what can be recorded on a GPU (``facegeo.models.recorded``): 23 nets, their crops and the
fusion of their votes become one launch.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn

from facegeo.geometry.crops import FaceCrops
from facegeo.geometry.windows import from_window
from facegeo.models.cascade_graph import CascadeGraph
from facegeo.models.ccnn import POINTS, Cascade


@dataclass(frozen=True)
class StoredPixels:
    """Pixels as ``facegeo.geometry.crops.Pixels`` describes them."""

    pixels: Tensor
    offset: Tensor
    size: Tensor
    origin: Tensor


class StoredCascade(nn.Module):
    """As ``Cascade``, with everything it needs among its inputs.

    Args:
        cascade: Used as it is, not copied.
    """

    def __init__(self, cascade: Cascade) -> None:
        super().__init__()
        self.graph = CascadeGraph(cascade)  # has the fusion of each stage as a matrix

    def forward(
        self,
        pixels: Tensor,
        offset: Tensor,
        size: Tensor,
        origin: Tensor,
        faces: Tensor,
        frames: Tensor,
        canvas: Tensor,
    ) -> Tensor:
        """Find the points of a batch of faces.

        Args:
            pixels: As all up to ``frames``: see ``FaceCrops`` and its ``Pixels``. May be longer
                than what is used, so that photos of many sizes have one shape.
            offset: Same.
            size: Same.
            origin: Same.
            faces: Same.
            frames: Same.
            canvas: Each whole image as a window of the box frame, (B, 4).

        Returns:
            Points after each stage, box frame, (B, T, 5, 2).
        """
        crop = FaceCrops(StoredPixels(pixels, offset, size, origin), faces, frames)
        anchors, found = canvas.new_full((len(canvas), POINTS, 2), 0.5), []
        for number, stage in enumerate(self.graph.cascade.by_name().values()):
            windows = stage.windows(anchors)
            places = from_window(
                stage(crop(windows, stage.input_size)), stage.frames(windows, canvas)
            )
            anchors = cast(Tensor, getattr(self.graph, f"fusion{number}")) @ places
            found.append(anchors)
        return torch.stack(found, dim=1)
