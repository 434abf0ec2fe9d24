"""facegeo: train, compare and use CCNN face landmarks and Cas-FNE face normals."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from facegeo.predict.detectors import Detect
    from facegeo.predict.predictor import Predictor

__version__ = "0.1.0"


def load(
    name: "str | Path" = "ccnn-lfpw",
    *,
    normals: "str | Path | bool | None" = None,
    detect: "Detect | None" = None,
    device: str = "auto",
    looks: int = 1,
) -> "Predictor":
    """Load a predictor: ``facegeo.load("ccnn-lfpw")("photo.jpg")`` gives the photo's faces.

    Args:
        name: A cascade: a released name, a model file, a run's folder or an exported ``.onnx``.
        normals: A generator of normals, named alike; True: the released ``casfne-faces``.
        detect: Finds the boxes of images for which none are given; by default OpenCV's Haar
            cascade.
        device: "cpu", "cuda", or "auto": CUDA where there is one. Exported models run on the CPU.
        looks: How often the cascade runs; 2 corrects wrong boxes, in twice the time.

    Raises:
        UserError: If there is no such model, or it finds something else.
    """
    from facegeo.predict.predictor import load as load_predictor

    return load_predictor(name, normals=normals, detect=detect, device=device, looks=looks)
