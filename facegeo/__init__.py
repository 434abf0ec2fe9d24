"""facegeo: train, compare and use CCNN face landmarks and Cas-FNE face normals."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

    from facegeo.predict.predictor import Predictor

__version__ = "0.1.0"


def load(name: "str | Path" = "ccnn-lfpw", **options: Any) -> "Predictor":
    """Load a predictor: ``facegeo.load("ccnn-lfpw")("photo.jpg")`` gives the photo's faces.

    Args:
        name: A cascade: a released name, a model file, a run's folder or an exported ``.onnx``.
        **options: ``normals``, ``detect``, ``device`` and ``looks`` of
            ``facegeo.predict.loading.load``.

    Raises:
        UserError: If there is no such model, or it finds something else.
    """
    from facegeo.predict.loading import load as load_predictor

    return load_predictor(name, **options)
