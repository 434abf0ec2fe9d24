"""What a wing answers for itself: the only way in which runs know its models and data.

A wing is one problem with its models and its data. A third one (depth, say) needs no change of
``facegeo.runs``: its data module is a ``WingData``, its procedure a function that CONTRIBUTING.md
describes, and its models may have

- ``finds``: what they find, one word, equal to ``finds`` of the data that fit;
- ``costs()``: their ``Costs``, for a run's record and for plots of cost against error;
- ``profile()``: their ``Profile``, for ``facegeo-profile``;
- ``fast_form()``: a network with equal outputs that computes faster, for prediction and export;
- ``export_form(precision, notes, t, size)``: their ``ExportForm``, for ``facegeo-export``.

A package says which of its models a file can hold by entry points, ``DepthNet = "depth_wing"``
under ``[project.entry-points."facegeo.models"]``: class and module.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, cast

import numpy as np
import numpy.typing as npt
from torch import Tensor, nn
from torch.export import ExportedProgram

from facegeo.errors import UserError
from facegeo.files.tables import Table

Costs = dict[str, dict[str, int]]
"""Parameters and multiplications ("macs") for one face, by entry of a model's metrics."""
Profile = tuple[dict[str, object], list[Table]]
"""Costs in detail: plain values for JSON, and tables of them."""
Settings = Mapping[str, Any]
"""Plain values of a configuration by dotted key."""


def model_costs(model: nn.Module) -> Costs:
    """Return what a model says it costs; empty if it does not say."""
    costs = getattr(model, "costs", None)
    return dict(costs()) if callable(costs) else {}


def fast_form(model: nn.Module, **options: str) -> nn.Module:
    """Return what a model gives as its fast form; the model itself if it has none."""
    make = getattr(model, "fast_form", None)
    return cast(nn.Module, make(**options)) if callable(make) else model


@dataclass(frozen=True, eq=False)
class Scene:
    """An image and its faces.

    Attributes:
        image: Red, green, blue, uint8, (H, W, 3).
        boxes: left, right, top, bottom, px, (F, 4).
        points: True points, px, (F, 5, 2), where they are known.
    """

    image: npt.NDArray[np.uint8]
    boxes: npt.NDArray[np.float64]
    points: npt.NDArray[np.float64] | None = None


@dataclass(frozen=True)
class Difference:
    """Difference between the outputs of an exported model and of PyTorch's in fp32.

    Attributes:
        inputs: Name of the inputs.
        count: Faces.
        figures: Mean, worst and further figures, in the order of ``ExportForm.columns``.
    """

    inputs: str
    count: int
    figures: tuple[float | None, ...]


class ExportForm:
    """How a model is exported and compared with itself; a base of such forms.

    Attributes:
        task: Content of the file, for its metadata.
        inputs: Names of the inputs.
        outputs: Names of the outputs.
        texts: Further metadata.
        most_faces: Number of the data's faces to compare on; None: all.
        on_noise: Whether to compare on noise too.
        limits: Largest difference allowed, and words for its unit ("px at most"), by precision: the
            worst for "fp32", the mean for others.
        columns: Headings of a ``Difference``'s figures, and their decimals.
        note: Explains them.
    """

    task: ClassVar[str]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    texts: Mapping[str, str]
    most_faces: int | None = None
    on_noise: bool = True
    limits: ClassVar[Mapping[str, tuple[float, str]]]
    columns: ClassVar[Mapping[str, int]]
    note: ClassVar[str]

    def program(self) -> ExportedProgram:
        """Trace the model, in the precision wanted."""
        raise NotImplementedError(f"{type(self).__name__} must define program")

    def plain(self, *inputs: Tensor) -> Sequence[Tensor]:
        """Run the model as it is, in fp32."""
        raise NotImplementedError(f"{type(self).__name__} must define plain")

    def compare(
        self, exported: Callable[..., Sequence[Tensor]], inputs: str, scenes: Iterable[Scene]
    ) -> Difference:
        """Measure how far an exported model is from ``plain``.

        Args:
            exported: Maps tensors as ``plain`` does.
            inputs: Name of the scenes.
            scenes: Images and boxes of faces.
        """
        raise NotImplementedError(f"{type(self).__name__} must define compare")


class WingData:
    """Data that models are trained and measured on; a base of data modules.

    Everything but ``finds``, ``title`` and ``report`` has an answer that suits simple data.

    Attributes:
        finds: What a fitting model finds, such as "points".
        has_truth: Whether there is a truth to train on and to measure against.
        title: The faces, for tables and pictures.
        paper: Section of ``experiments/paper_values.yaml`` with the paper's figures, if any.
    """

    finds: str
    has_truth: bool = True
    title: str
    paper: str | None = None

    def report(
        self,
        model: nn.Module,
        folder: Path,
        splits: Sequence[str],
        *,
        notes: Mapping[str, Any] | None = None,
        **how: Any,
    ) -> dict[str, float]:
        """Measure a model; write numbers, tables and pictures into ``folder`` and show a table.

        Args:
            model: Trained.
            folder: The run's; ``keep_metrics`` writes its ``metrics.json``.
            splits: Of "val" and "test".
            notes: The model's, if it was loaded from a file.
            **how: ``device`` where the model runs; ``console`` that shows the table; ``paper``,
                the section of the paper's figures or None; and what ``check_model`` accepted of
                the options of an evaluation.

        Returns:
            Metrics by name, ``split/entry/measure``.
        """
        raise NotImplementedError(f"{type(self).__name__} must define report")

    def check_model(self, model: nn.Module, options: Mapping[str, Any] | None = None) -> None:
        """See that a model that finds the right thing also fits, before any face is read.

        Args:
            model: To be trained or measured.
            options: Keys of an evaluation that are not null or false: ``t``, ``panels``.

        Raises:
            UserError: If it does not, or has no such option.
        """
        if options:
            keys = " and ".join(options)
            raise UserError(f"{keys}: not for models that find {self.finds}; leave them out")

    def check(self, splits: Sequence[str]) -> None:
        """Read all that training and measuring ``splits`` needs: before a training, not after it.

        Raises:
            UserError: With every fault of the data.
        """

    def prepare_for(
        self, model: nn.Module, procedure: Mapping[str, Any], folder: Path, device: str
    ) -> None:
        """Make generated data, and log how long making it and training will take, if known.

        Args:
            model: To be trained.
            procedure: Configuration of the training: ``steps``, ``max_steps``.
            folder: The run's: finished parts of a resumed training are in it.
            device: Where the model will be trained.
        """
        self.prepare_data()

    def prepare_data(self) -> None:
        """Make generated data; as Lightning's data modules have it."""

    def content(self) -> str:
        """Hex digits that change with anything that is trained on."""
        return ""

    def tested_content(self) -> str:
        """Hex digits that change with anything that is tested on."""
        return self.content()

    def keep_split(self, path: Path) -> None:
        """Save which faces are held out, or compare with what was saved.

        Raises:
            UserError: If the saved split is of other data or settings.
        """

    @property
    def split_settings(self) -> dict[str, Any]:
        """Settings that determine the held-out faces, and ``content`` of the data."""
        return {"content": self.content()}

    def notes(self) -> dict[str, Any]:
        """Further notes to store in a model trained on these data."""
        return {}

    def compare_notes(self, notes: Mapping[str, Any]) -> None:
        """Warn if a model was trained on faces of another kind than these."""

    def scenes(self, split: str, most: int | None = None) -> Iterator[Scene]:
        """Return images with the boxes and points of their faces, to compare exported models on.

        Args:
            split: "train" or "test".
            most: Largest number of faces, spread evenly over the split; None: all.

        Raises:
            UserError: If these data have none, or they cannot be read.
        """
        raise UserError("wanted data=lfpw or generated, faces with boxes and points, got others")

    def costs(self, model: nn.Module) -> Costs:
        """Return what a model for these data costs."""
        return model_costs(model)

    @staticmethod
    def weight_parts(config: Mapping[str, Any], settings: Settings) -> dict[str, Settings]:
        """Return the settings that shape each part of the model that runs of a study may share.

        Args:
            config: Plain configuration of a run.
            settings: Those of its settings that can change any weight.

        Returns:
            Settings by part, the parts that the procedure reserves; empty: nothing is shared.
        """
        return {}
