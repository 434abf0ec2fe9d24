"""Convolutions of an exported cascade in 8-bit integers."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import onnx
from onnxruntime.quantization import (
    CalibrationDataReader,
    QuantFormat,
    QuantType,
    quantize_static,
)

from facegeo.export.scenes import Scene


def in_int8(file: bytes, faces: Iterable[Scene]) -> bytes:
    """Turn the convolutions of a cascade into 8-bit integers, all else stays as it is.

    Weights have a scale for each channel; values between layers one for each layer, from the
    largest and smallest that appear on ``faces``.

    Args:
        file: The cascade in fp32, as ``onnx_bytes`` makes it.
        faces: Training faces that show what values there are.
    """
    with TemporaryDirectory() as folder:
        before, after = Path(folder) / "fp32.onnx", Path(folder) / "int8.onnx"
        before.write_bytes(file)
        nodes = onnx.load_from_string(file).graph.node  # not those in the loop over regions
        root = logging.getLogger()
        level = root.level
        root.setLevel(logging.ERROR)  # it advises a preparation that ours had
        try:
            quantize_static(
                before,
                after,
                _Faces(faces),
                quant_format=QuantFormat.QDQ,
                per_channel=True,
                activation_type=QuantType.QUInt8,
                weight_type=QuantType.QInt8,
                op_types_to_quantize=["Conv"],
                nodes_to_quantize=[node.name for node in nodes if node.op_type == "Conv"],
            )
        finally:
            root.setLevel(level)
        return after.read_bytes()


class _Faces(CalibrationDataReader):  # type: ignore[misc]  # ONNX Runtime has no types
    """Feeds faces one by one, as ONNX Runtime asks for them."""

    def __init__(self, faces: Iterable[Scene]) -> None:
        self._faces: Iterator[Scene] = iter(faces)

    def get_next(self) -> dict[str, object] | None:
        face = next(self._faces, None)
        return None if face is None else {"image": face.image, "boxes": face.boxes}
