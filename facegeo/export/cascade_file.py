"""A cascade as an ONNX file: image and boxes in, points out."""

from __future__ import annotations

import torch
from torch.export import Dim

from facegeo.models.cascade_graph import CascadeGraph
from facegeo.models.ccnn import Cascade

OPSET = 18


def cascade_program(cascade: Cascade) -> torch.export.ExportedProgram:
    """Trace a cascade for images of any size and any number of faces."""
    image = torch.zeros(100, 120, 3, dtype=torch.uint8)
    boxes = torch.tensor([[20.0, 80.0, 20.0, 80.0], [30.0, 90.0, 25.0, 85.0]], dtype=torch.float64)
    shapes = {"image": {0: Dim("H", min=2), 1: Dim("W", min=2)}, "boxes": {0: Dim("F", min=1)}}
    with torch.no_grad():
        return torch.export.export(
            CascadeGraph(cascade).eval(), (image, boxes), dynamic_shapes=shapes
        )


def cascade_onnx(cascade: Cascade) -> bytes:
    """The cascade as ONNX."""
    from facegeo.export.onnx_pyramid import region_pyramid

    program = torch.onnx.export(
        cascade_program(cascade),
        dynamo=True,
        opset_version=OPSET,
        input_names=["image", "boxes"],
        output_names=["points"],
        custom_translation_table={torch.ops.facegeo.region_pyramid.default: region_pyramid},
        verbose=False,
    )
    return program.model_proto.SerializeToString()
