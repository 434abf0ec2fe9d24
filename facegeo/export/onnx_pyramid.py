# mypy: ignore-errors
# (the code below is ONNX's language in Python's grammar)
"""``facegeo.geometry.crops`` in ONNX's own operators.

The regions of an image differ in size, so they are halved one after the other in a loop; all
that follows takes the faces side by side.
"""

from __future__ import annotations

import numpy as np
import onnx
from onnxscript import INT64, UINT8, script
from onnxscript import opset18 as op
from onnxscript.values import Opset

UINT8_TYPE, FLOAT_TYPE = 2, 1  # numbers of types in ONNX files

# 2 x 2 pixels of three interleaved channels lie in 2 x 6 values of two rows.
_MEAN = np.zeros((3, 1, 2, 6), np.float32)
for _channel in range(3):
    _MEAN[_channel, :, :, _channel::3] = 0.25
MEAN = onnx.numpy_helper.from_array(_MEAN)


@script(Opset("facegeo", 1), default_opset=op)
def region_pyramid(image: UINT8, regions: INT64, depth: INT64) -> UINT8:
    """Levels of all regions as ``facegeo.geometry.crops`` orders them."""
    parts = op.SequenceEmpty(dtype=UINT8_TYPE)
    kernel = op.Constant(value=MEAN)
    half = op.Constant(value_floats=[0.5, 0.5, 0.5])
    faces = op.Squeeze(op.Slice(op.Shape(regions), [0], [1]))
    for face in range(faces):
        region = op.Gather(regions, face)
        whole = op.Slice(image, op.Gather(region, [2, 0]), op.Gather(region, [3, 1]), [0, 1])
        odd = op.Mod(op.Slice(op.Shape(whole), [0], [2]), [2])
        level = op.Pad(whole, op.Concat([0, 0, 0], odd, [0], axis=0), mode="edge")
        parts = op.SequenceInsert(parts, op.Reshape(level, [-1]))
        more = op.Sub(op.Gather(depth, face), 1)
        for _ in range(more):
            rows = op.Slice(op.Shape(level), [0], [1])
            wide = op.Reshape(level, op.Concat([1, 1], rows, [-1], axis=0))
            mean = op.Conv(op.Cast(wide, to=FLOAT_TYPE), kernel, half, strides=[2, 6])
            bytes = op.Cast(mean, to=UINT8_TYPE)  # drops the fraction
            small = op.Transpose(op.Squeeze(bytes, [0]), perm=[1, 2, 0])
            odd = op.Mod(op.Slice(op.Shape(small), [0], [2]), [2])
            level = op.Pad(small, op.Concat([0, 0, 0], odd, [0], axis=0), mode="edge")
            parts = op.SequenceInsert(parts, op.Reshape(level, [-1]))
    return op.ConcatFromSequence(parts, axis=0)
