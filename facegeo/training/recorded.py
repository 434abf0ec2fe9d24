"""Calls of a network recorded once and replayed as a whole, on a CUDA device (CUDA graphs).

For one photo at a time a GPU waits for the next kernel's launch longer than it computes.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

Outputs = Tensor | tuple[Tensor, ...]

WARM_UP = 3
"""Calls before the recording, in which libraries choose their kernels and allocate memory."""


class Recorded(nn.Module):
    """A network whose calls are recorded: one recording for each shape of the inputs.

    Outputs are copies, so that a later call does not overwrite them. Inputs and weights must be on
    one CUDA device; later in-place changes of weights take effect, replaced weights do not.

    Args:
        network: Maps tensors to a tensor or a tuple of tensors, without waiting for the device and
            without branches that depend on values.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network
        self._calls: dict[tuple[object, ...], _Call] = {}

    def forward(self, *inputs: Tensor) -> Outputs:
        """Return ``network(*inputs)``.

        Raises:
            ValueError: If an input is not on a CUDA device.
        """
        for tensor in inputs:
            if tensor.device.type != "cuda":
                raise ValueError(f"inputs must be on a CUDA device, got one on {tensor.device}")
        key = tuple((tensor.shape, tensor.dtype, tensor.device) for tensor in inputs)
        if key not in self._calls:
            self._calls[key] = _Call(self.network, inputs)
        return self._calls[key](inputs)


class _Call:
    """One recording, with the memory that it reads and writes."""

    @torch.inference_mode()
    def __init__(self, network: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        self.inputs = [tensor.clone() for tensor in inputs]
        with torch.cuda.device(self.inputs[0].device):
            side = torch.cuda.Stream()
            side.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(side):
                for _ in range(WARM_UP):
                    network(*self.inputs)
            torch.cuda.current_stream().wait_stream(side)
            self.graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(self.graph):
                self.outputs: Outputs = network(*self.inputs)

    @torch.inference_mode()
    def __call__(self, inputs: tuple[Tensor, ...]) -> Outputs:
        for kept, tensor in zip(self.inputs, inputs, strict=True):
            kept.copy_(tensor)
        self.graph.replay()
        if isinstance(self.outputs, Tensor):
            return self.outputs.clone()
        return tuple(output.clone() for output in self.outputs)
