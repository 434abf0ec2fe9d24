"""Where the encoder's first weights come from: chance, ImageNet, or a file."""

from __future__ import annotations

from pathlib import Path

import torch

from facegeo.errors import UserError
from facegeo.models.resnet import ResNet
from facegeo.models.torch_file import check_tensors, read_torch_file, sha256

SOURCE = "https://download.pytorch.org/models/"
FILES = {18: "resnet18-f37072fd.pth", 34: "resnet34-b627a593.pth"}
"""torchvision's IMAGENET1K_V1 by depth; the digits begin the file's SHA-256."""

FC = frozenset({"fc.weight", "fc.bias"})


def load_encoder(encoder: ResNet, weights: str | Path) -> dict[str, str]:
    """Give an encoder its first weights.

    Args:
        encoder: Changed in place, unless ``weights`` is "none".
        weights: "none": left as it is; "imagenet": torchvision's, downloaded to or found where
            torch keeps such files; otherwise a file in torchvision's layout, with or without the
            classifier, which is not used.

    Returns:
        What a run should record: ``weights`` as given, and the file's ``sha256`` if there is one.

    Raises:
        UserError: If the file can not be had or read, or holds another network.
    """
    if str(weights) == "none":
        return {"weights": "none"}
    path = _imagenet(FILES[encoder.depth]) if str(weights) == "imagenet" else Path(weights)
    path = path.expanduser()
    found = read_torch_file(path)
    wanted = encoder.state_dict()
    if isinstance(found, dict):
        found = {name: value for name, value in found.items() if name not in FC}
        # Files from before torch 0.4.1 do not count batches; nothing here uses the count.
        counts = {name for name in wanted if name.endswith("num_batches_tracked")}
        found = {name: wanted[name] for name in counts} | found
    encoder.load_state_dict(check_tensors(path, found, wanted))
    return {"weights": str(weights), "sha256": sha256(path)}


def _imagenet(name: str) -> Path:
    """Path of torchvision's file, downloaded if it is not there."""
    path = Path(torch.hub.get_dir()) / "checkpoints" / name
    start = name.removesuffix(".pth").rpartition("-")[2]
    if path.is_file():
        if not sha256(path).startswith(start):
            raise UserError(
                f"{path} is damaged or another file: its SHA-256 must begin with {start}; remove "
                "it to have it downloaded again"
            )
        return path
    try:
        torch.hub.load_state_dict_from_url(
            SOURCE + name, map_location="cpu", weights_only=True, check_hash=True
        )
    except (OSError, RuntimeError) as error:
        raise UserError(
            f"can not download {SOURCE}{name} ({error}); put that file into {path.parent}, or give "
            "weights=PATH of a copy, or weights=none to start from chance"
        ) from error
    return path
