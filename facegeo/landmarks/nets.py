"""CCNN: networks, votes and the cascade of stages.

Duan, Wang, Wu: Face Alignment Algorithm Based on an Improved Cascaded CNN, Advances in
Multimedia 2021. Stage 1 sees regions of the face box, every later stage windows about
the points of the stage before. All positions are in the box frame (``facegeo.geometry.windows``).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, cast

import torch
import torch.nn.functional as F  # noqa: N812  torch's own habit
from pydantic import PositiveInt
from torch import Tensor, nn

from facegeo.checks import Share, checked_call
from facegeo.errors import UserError
from facegeo.geometry.windows import POINT_NAMES, from_window, to_window, window_of_region
from facegeo.papers import paper_values
from facegeo.training.wing import ExportForm, Profile


class SideBySide(nn.Module):
    """W nets that share nothing, where ``NetBank`` has one build for all of a stage.

    Args:
        nets: Each maps its crops (B, C, S, S) to its outputs (B, N).
        input_size: Side S of the square crops, px.
    """

    def __init__(self, nets: Sequence[nn.Module], input_size: int) -> None:
        super().__init__()
        self.nets, self.input_size = nn.ModuleList(nets), input_size

    def forward(self, crops: Tensor) -> Tensor:
        """Outputs of all nets one after the other, (B, sum of N), from crops (B, W, C, S, S)."""
        return torch.cat([net(crops[:, i]) for i, net in enumerate(self.nets)], dim=1)


LUMA = (0.299, 0.587, 0.114)
"""Shares of red, green and blue in grey, ITU-R BT.601."""


def grey(crops: Tensor) -> Tensor:
    """Crops (B, W, 3, S, S) as one channel of brightness, (B, W, 1, S, S)."""
    shares = crops.new_tensor(LUMA)
    return (crops.movedim(2, -1) @ shares).unsqueeze(2)


def standardise(crops: Tensor) -> Tensor:
    """Each crop of (B, W, C, S, S) minus its mean, divided by its standard deviation + 1e-6."""
    # Reductions in memory order (channels last): torch.std_mean takes eight times as long.
    flat = crops.movedim(2, -1).flatten(2)
    flat = flat - flat.mean(dim=2, keepdim=True)
    flat = flat / (flat.square().mean(dim=2, keepdim=True).sqrt() + 1e-6)
    even: Tensor = flat.unflatten(2, (*crops.shape[3:], crops.shape[2]))
    return even.movedim(-1, 2)


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

    @checked_call
    def __init__(
        self,
        outputs: Sequence[int],
        *,
        input_size: PositiveInt,
        channels: Sequence[PositiveInt],
        kernels: Sequence[PositiveInt],
        hidden: PositiveInt,
        dropout: Share = 0.0,
        in_channels: PositiveInt = 3,
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


Crop = Callable[[Tensor, int], Tensor]
"""Maps windows (B, W, 4) and a side S to crops (B, W, 3, S, S) in [0, 1]."""
Nets = Mapping[str, Any] | Callable[[Sequence[int]], SideBySide]
"""Builds a stage's nets: arguments of ``NetBank`` but ``outputs``, or a function of ``outputs``."""
Label = Literal["window", "image"]
Fusion = Literal["mean", "first", "last"]
Colour = Literal["rgb", "grey"]
POINTS = len(POINT_NAMES)


class Stage(nn.Module):
    """One stage: W nets, each of which votes for the points it sees; votes are fused.

    Args:
        sees: For each net, the points it votes for, as names of ``POINT_NAMES``.
        net: Builds the nets.
        label: "window": nets answer in their own window's frame (paper, formula 9);
            "image": in the frame of the whole image ("windows-", Fig. 5).
        fusion: "mean" of the votes for a point (formula 4); or the "first" or the "last" net's
            vote only: in stage 1 F1's or the partial nets', later that of the first or last window
            size. All nets are trained in any case.
        colour: "rgb" or "grey": channels of the nets' input, three or one.

    Raises:
        ValueError: If a choice is not among these, or no net sees a point.
    """

    names: tuple[str, ...]
    vote_net: Tensor
    vote_point: Tensor
    counts: Tensor

    @checked_call
    def __init__(
        self,
        sees: Sequence[Sequence[str]],
        net: Nets,
        label: Label = "window",
        fusion: Fusion = "mean",
        colour: Colour = "rgb",
    ) -> None:
        super().__init__()
        self.label, self.colour = label, colour
        outputs = [2 * len(points) for points in sees]
        self.bank = NetBank(outputs, **net) if isinstance(net, Mapping) else net(outputs)
        unknown = [p for points in sees for p in points if p not in POINT_NAMES]
        if unknown:
            raise ValueError(f"points must be among {list(POINT_NAMES)}, got {unknown[0]}")
        votes = [(i, POINT_NAMES.index(p)) for i, points in enumerate(sees) for p in points]
        missing = set(range(POINTS)) - {point for _, point in votes}
        if missing:
            names = [POINT_NAMES[i] for i in sorted(missing)]
            raise ValueError(f"no net of the stage sees {names}: add them to a net's points")
        table = torch.tensor(votes)
        self.register_buffer("vote_net", table[:, 0].clone(), persistent=False)
        self.register_buffer("vote_point", table[:, 1].clone(), persistent=False)
        counts = torch.tensor(_counting([point for _, point in votes], fusion))
        self.register_buffer("counts", counts, persistent=False)

    @property
    def input_size(self) -> int:
        """Side of a net's input, px."""
        return self.bank.input_size

    def windows(self, anchors: Tensor) -> Tensor:
        """The nets' windows, given the previous stage's points (B, 5, 2): (B, W, 4)."""
        raise NotImplementedError

    def forward(self, crops: Tensor) -> Tensor:
        """Votes in the label's frame, (B, V, 2), from crops (B, W, 3, S, S).

        Each crop, grey where that is chosen, first loses its mean and is divided by its standard
        deviation (+ 1e-6).
        """
        if self.colour == "grey":
            crops = grey(crops)
        votes: Tensor = self.bank(standardise(crops))
        pairs: Tensor = votes.unflatten(1, (-1, 2))
        return pairs

    def frames(self, windows: Tensor, canvas: Tensor) -> Tensor:
        """The frame of each vote, as windows (B, V, 4); ``canvas`` is the image's."""
        if self.label == "image":
            return canvas[:, None].expand(-1, len(self.vote_net), -1)
        return windows.index_select(1, self.vote_net)

    def targets(self, points: Tensor, frames: Tensor) -> Tensor:
        """True votes, (B, V, 2), for true points (B, 5, 2) of the box frame."""
        return to_window(points[:, self.vote_point], frames)

    def fuse(self, votes: Tensor, frames: Tensor) -> Tensor:
        """Points (B, 5, 2): for each the plain mean (formula 4) of the votes that count."""
        places = from_window(votes, frames)[:, self.counts]
        points = self.vote_point[self.counts]
        total = places.new_zeros(len(places), POINTS, 2)
        return total.index_add(1, points, places) / points.bincount(minlength=POINTS)[:, None]


def _counting(points: Sequence[int], fusion: Fusion) -> list[int]:
    """Numbers of the votes, one for each of ``points``, that are averaged."""
    if fusion == "mean":
        return list(range(len(points)))
    numbered = list(enumerate(points))
    chosen = {point: vote for vote, point in (numbered[::-1] if fusion == "first" else numbered)}
    return sorted(chosen.values())


class BoxStage(Stage):
    """Stage 1: nets on fixed regions of the face box (F1, EN1, NM1).

    Args:
        nets: For each net its ``region`` (x0, x1, y0, y1) in the box frame and its ``points``.
        net: Builds the nets.
        label, fusion, colour: See ``Stage``.
    """

    regions: Tensor

    def __init__(
        self,
        nets: Mapping[str, Mapping[str, Any]],
        net: Nets,
        label: Label = "window",
        fusion: Fusion = "mean",
        colour: Colour = "rgb",
    ) -> None:
        sees = [one["points"] for one in nets.values()]
        super().__init__(sees=sees, net=net, label=label, fusion=fusion, colour=colour)
        self.names = tuple(nets)
        regions = [window_of_region(one["region"]) for one in nets.values()]
        self.register_buffer("regions", torch.tensor(regions), persistent=False)

    def windows(self, anchors: Tensor) -> Tensor:
        """The regions, the same for every face, (B, W, 4); anchors give only B."""
        return self.regions.expand(anchors.shape[0], -1, -1)


class PointStage(Stage):
    """A later stage: for each point, a net on a window of each size about it (formula 5).

    Args:
        sizes: Window sizes a, in box sides; one net a point and size.
        net: Builds the nets.
        mode: "half": a is half the window's side (ours); "full": the whole side.
        level: Number in the nets' names (LE21: left eye, level 2, first net).
        label, fusion, colour: See ``Stage``.
    """

    reach: Tensor

    @checked_call
    def __init__(
        self,
        sizes: Sequence[float],
        net: Nets,
        mode: Literal["half", "full"] = "half",
        level: int = 2,
        label: Label = "window",
        fusion: Fusion = "mean",
        colour: Colour = "rgb",
    ) -> None:
        sees = [(name,) for name in POINT_NAMES for _ in sizes]
        super().__init__(sees=sees, net=net, label=label, fusion=fusion, colour=colour)
        self.names = tuple(
            f"{name}{level}{i}" for name in POINT_NAMES for i in range(1, len(sizes) + 1)
        )
        half = torch.tensor(list(sizes) * POINTS) * (1.0 if mode == "half" else 0.5)
        self.register_buffer("reach", half[:, None].expand(-1, 2).clone(), persistent=False)

    def windows(self, anchors: Tensor) -> Tensor:
        """Windows centred on the anchors, (B, W, 4); the geometry is never clipped."""
        centres = anchors.index_select(1, self.vote_point)
        return torch.cat([centres, self.reach.expand(anchors.shape[0], -1, -1)], dim=-1)


class Cascade(nn.Module):
    """Stages one after the other, from a face box to its five points.

    Args:
        stages: The stages by name, first to last.
        count: Number of stages to use, from the first; None: all.

    Raises:
        ValueError: If there are fewer stages, or ``count`` is below 1.
    """

    finds = "points"

    def __init__(self, stages: Mapping[str, Stage], count: int | None = None) -> None:
        super().__init__()
        if count is not None and count not in range(1, len(stages) + 1):
            raise ValueError(
                f"count must be from 1 to {len(stages)}, the number of stages, or null for all, "
                f"got {count}"
            )
        self.stages = nn.ModuleDict(dict(list(stages.items())[:count]))

    def by_name(self) -> dict[str, Stage]:
        """The stages, first to last."""
        return cast(dict[str, Stage], dict(self.stages.items()))

    def first(self, count: int) -> Cascade:
        """The cascade of the first ``count`` stages, which are shared and not copied."""
        return Cascade(self.by_name(), count)

    def costs(self) -> dict[str, dict[str, int]]:
        """Parameters and multiplications for one face of the first stage, the first two, ..."""
        from facegeo.landmarks.cost import cascade_costs

        return cascade_costs(self)

    def export_form(
        self,
        precision: str,
        notes: Mapping[str, Any],
        t: int | None = None,
        size: int | None = None,
    ) -> ExportForm:
        """Return how it is exported.

        Raises:
            UserError: If ``t`` or ``size`` is given.
        """
        from facegeo.landmarks.export import CascadeForm

        if t is not None or size is not None:
            raise UserError("t and size are for models of normals; leave them out with points")
        return CascadeForm(self, precision)

    def profile(self) -> Profile:
        """Costs net by net, beside the paper's Table 3."""
        from facegeo.landmarks.cost import profile_cascade, profile_tables

        return profile_cascade(self), profile_tables(self, paper_values("ccnn.table3_size_speed"))

    def forward(self, crop: Crop, canvas: Tensor) -> Tensor:
        """Find the points of a batch of faces.

        Args:
            crop: Cuts windows out of the batch's images.
            canvas: Each whole image as a window of the box frame, (B, 4).

        Returns:
            Points after each stage, box frame, (B, T, 5, 2).
        """
        anchors = canvas.new_full((len(canvas), POINTS, 2), 0.5)
        found = []
        for stage in self.by_name().values():
            windows = stage.windows(anchors)
            votes = stage(crop(windows, stage.input_size))
            anchors = stage.fuse(votes, stage.frames(windows, canvas))
            found.append(anchors)
        return torch.stack(found, dim=1)
