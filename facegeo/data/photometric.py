"""Random changes of colours, by albumentations: another light, blur, noise; pixels stay put."""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping
from types import ModuleType
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from facegeo.data.stream import seeded
from facegeo.errors import UserError

NO_QUESTIONS = "NO_ALBUMENTATIONS_UPDATE"


class Photometric:
    """Transforms of albumentations in their order, drawn anew for each sample and epoch.

    What is drawn is a function of (seed, epoch, row) alone: albumentations' own numbers repeat
    themselves across workers and epochs.

    Args:
        transforms: Options by name of the transform, such as
            ``{"RandomBrightnessContrast": {"p": 0.5}}``; those that move pixels are refused.

    Raises:
        UserError: If albumentations is not installed, or a transform is unknown, moves pixels or
            does not know an option.
    """

    def __init__(self, transforms: Mapping[str, Mapping[str, Any]]) -> None:
        self.transforms = {name: dict(options) for name, options in transforms.items()}
        library = _albumentations()
        self._compose = library.Compose(
            [_transform(library, name, options) for name, options in self.transforms.items()]
        )

    def __reduce__(self) -> tuple[type[Photometric], tuple[Mapping[str, Mapping[str, Any]]]]:
        """Build it anew in a loader's process, where albumentations is imported the same way."""
        return Photometric, (self.transforms,)

    def __call__(
        self, image: npt.NDArray[np.uint8], seed: int, epoch: int, row: int
    ) -> npt.NDArray[np.uint8]:
        """Change the colours of one RGB image, shape (H, W, 3); the input stays as it is."""
        self._compose.set_random_seed(seeded(seed, 4, epoch, row).initial_seed() % 2**32)
        return cast(npt.NDArray[np.uint8], self._compose(image=image)["image"])


def _transform(library: ModuleType, name: str, options: Mapping[str, Any]) -> object:
    kind = getattr(library, name, None)
    key = f"data.augment.photometric.transforms.{name}"
    if not isinstance(kind, type) or not issubclass(kind, library.ImageOnlyTransform):
        known = "a transform of albumentations that leaves pixels where they are"
        raise UserError(f"{key}: wanted {known}, such as RandomGamma, got {name}")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", UserWarning)  # it only warns of unknown options
            return kind(**options)
    except (TypeError, ValueError, UserWarning) as error:
        text = " ".join(str(error).split())
        raise UserError(f"{key}: {text}; change its options") from error


def _albumentations() -> ModuleType:
    """Import albumentations without its question to the network about newer versions."""
    before = os.environ.get(NO_QUESTIONS)
    os.environ[NO_QUESTIONS] = "1"
    try:
        import albumentations
    except ImportError as error:
        raise UserError(
            f"data.augment.photometric needs albumentations ({error}): "
            'pip install "facegeo[augment]", or set data.augment.photometric=null'
        ) from error
    finally:
        if before is None:
            del os.environ[NO_QUESTIONS]
        else:
            os.environ[NO_QUESTIONS] = before
    return cast(ModuleType, albumentations)
