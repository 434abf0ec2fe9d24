"""The small CNNs of one CCNN stage, held side by side in stacked weights."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F  # noqa: N812  torch's own habit
from torch import Tensor, nn

LOOP_FROM_PIXELS = 800
"""Input pixels of one net and batch from which a loop over the nets beats grouped convolution.

Measured on the CPU: ``experiments/ccnn/net_forms.md``. On a GPU, where launches should cost most,
grouped convolution is always taken; that is not measured yet.
"""


class NetBank(nn.Module):
    """W convolutional nets of one shape, each fed its own crop.

    A net is, for each layer: convolution without padding, ReLU, 2x2 max pooling; then a hidden
    fully connected layer with ReLU and dropout and a linear output layer (CCNN, Table 2, Fig. 3).
    Weights of all nets are stacked along the first axis, so that an optimizer sees few tensors
    and a batch of one runs as one grouped convolution; no value of one net reaches another.

    Args:
        outputs: Output numbers of each net; W is their count.
        input_size: Side of the square input, px.
        channels: Output channels of each convolution.
        kernels: Kernel side of each convolution.
        hidden: Units of the hidden layer.
        dropout: Probability to drop a hidden unit while training.
        in_channels: Channels of the input.

    Raises:
        ValueError: If the input is too small for the layers.
    """

    def __init__(
        self,
        outputs: Sequence[int],
        *,
        input_size: int,
        channels: Sequence[int],
        kernels: Sequence[int],
        hidden: int,
        dropout: float = 0.0,
        in_channels: int = 3,
    ) -> None:
        super().__init__()
        self.outputs, self.input_size, self.dropout = tuple(outputs), input_size, dropout
        nets, width, side = len(outputs), in_channels, input_size
        weights, biases = [], []
        for out, kernel in zip(channels, kernels, strict=True):
            weights.append(nn.Parameter(torch.empty(nets, out, width, kernel, kernel)))
            biases.append(nn.Parameter(torch.zeros(nets, out)))
            width, side = out, (side - kernel + 1) // 2
            if side < 1:
                raise ValueError(
                    f"input_size {input_size} px is too small for kernels {list(kernels)} with "
                    "2x2 pooling: nothing is left; enlarge input_size or drop a layer"
                )
        self.conv_weights, self.conv_biases = nn.ParameterList(weights), nn.ParameterList(biases)
        self.fc1_weight = nn.Parameter(torch.empty(nets, hidden, width * side * side))
        self.fc1_bias = nn.Parameter(torch.zeros(nets, hidden))
        # Rows of all nets one below the other: nets may differ in outputs (10, 6 and 6 in stage 1).
        self.fc2_weight = nn.Parameter(torch.empty(sum(outputs), hidden))
        self.fc2_bias = nn.Parameter(torch.zeros(sum(outputs)))
        rows = torch.repeat_interleave(torch.arange(nets), torch.tensor(self.outputs))
        self.register_buffer("net_of_row", rows, persistent=False)
        self.net_of_row: Tensor
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Xavier's uniform initialisation, net by net; biases zero (CCNN, Sec. 3.3)."""
        for net in range(len(self.outputs)):
            for stacked in (*self.conv_weights, self.fc1_weight):
                nn.init.xavier_uniform_(stacked.data[net])
        for rows in self.fc2_weight.data.split(self.outputs):
            nn.init.xavier_uniform_(rows)

    def forward(self, crops: Tensor) -> Tensor:
        """Run every net on its crop.

        Args:
            crops: (B, W, C, S, S), any range.

        Returns:
            Outputs of all nets one after the other, (B, sum(outputs)).
        """
        features = self._looped(crops) if self._loops(crops) else self._grouped(crops)
        hidden = F.dropout(F.relu(features), self.dropout, self.training)
        return (hidden.index_select(1, self.net_of_row) * self.fc2_weight).sum(-1) + self.fc2_bias

    @staticmethod
    def _loops(crops: Tensor) -> bool:
        if torch.compiler.is_exporting():
            return False  # one graph for all batch sizes; ONNX Runtime runs it faster than the loop
        pixels = len(crops) * crops.shape[-2] * crops.shape[-1]
        return crops.device.type == "cpu" and pixels >= LOOP_FROM_PIXELS

    def _looped(self, crops: Tensor) -> Tensor:
        """Hidden features before ReLU, (B, W, hidden), one net after the other."""
        # channels_last: on the CPU 2x2 max pooling is ten times faster so, convolution 1.7.
        layers = [
            zip(weight.movedim(2, -1).contiguous().movedim(-1, 2), bias, strict=True)
            for weight, bias in zip(self.conv_weights, self.conv_biases, strict=True)
        ]
        last = zip(self.fc1_weight, self.fc1_bias, strict=True)
        features = []
        for crop, (weight, bias), *convolutions in zip(crops.unbind(1), last, *layers, strict=True):
            x = crop.contiguous(memory_format=torch.channels_last)
            for kernel, offset in convolutions:
                # ReLU and max commute; pooling first leaves a quarter of the work.
                x = F.relu(_halved(F.conv2d(x, kernel, offset)), inplace=True)
            features.append(F.linear(x.flatten(1), weight, bias))
        return torch.stack(features, dim=1)

    def _grouped(self, crops: Tensor) -> Tensor:
        """The same features from one grouped convolution a layer."""
        batch, nets = crops.shape[:2]
        x = crops.flatten(1, 2)
        for weight, bias in zip(self.conv_weights, self.conv_biases, strict=True):
            x = F.conv2d(x, weight.flatten(0, 1), bias.flatten(), groups=nets)
            x = F.relu(F.max_pool2d(x, 2))
        x = x.reshape(batch, nets, -1).transpose(0, 1)
        out = torch.baddbmm(self.fc1_bias[:, None], x, self.fc1_weight.transpose(1, 2))
        return out.transpose(0, 1)


def _halved(x: Tensor) -> Tensor:
    """2x2 max pooling; without gradients rows first, then columns: a quarter of the time."""
    if torch.is_grad_enabled():
        return F.max_pool2d(x, 2)
    height, width = (side // 2 * 2 for side in x.shape[-2:])
    rows = torch.maximum(x[..., 0:height:2, :width], x[..., 1:height:2, :width])
    return torch.maximum(rows[..., ::2], rows[..., 1::2])
