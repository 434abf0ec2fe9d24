"""The authors' published weights of Cas-FNE, read into our network."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch

from facegeo.errors import UserError
from facegeo.files.torch_file import check_tensors, read_torch_file
from facegeo.normals.generator import CasFNE

# The authors' checkpoint is a dict: the generator under ``model`` (t = 2), the discriminator under
# ``Dmodel``. The generator's ResNet was registered twice, so each of its tensors is in the file
# under two names, beside an unused classifier.
RESNET = "BasedNormalNet.base_model."
FC = {f"{RESNET}fc.weight": torch.empty(1000, 512), f"{RESNET}fc.bias": torch.empty(1000)}


def _prefixes() -> list[tuple[str, str]]:
    """Name prefixes, theirs and ours; one of our prefixes may match two of theirs."""
    pairs = [(RESNET, "encoder.")]
    pairs += [("BasedNormalNet.layer0.0.", "encoder.conv1.")]
    pairs += [("BasedNormalNet.layer0.1.", "encoder.bn1.")]
    pairs += [("BasedNormalNet.layer1.1.", "encoder.layer1.")]
    pairs += [(f"BasedNormalNet.layer{i}.", f"encoder.layer{i}.") for i in (2, 3, 4)]
    pairs += [("BasedNormalNet.conhead.", "initial.head.")]
    for i in range(5):
        pairs += [
            (f"BasedNormalNet.deconv{i + 4}.", f"initial.deconvs.{i}."),
            (f"BasedNormalNet.deconv{i + 4}_bn.", f"initial.norms.{i}."),
            (f"NormalEncoder.conv{i + 1}.", f"block.encoder.convs.{i}."),
            (f"NormalEncoder.conv{i + 2}_bn.", f"block.encoder.norms.{i}."),
            (f"NormalDecoder.N2deconv{i + 4}.", f"block.decoder.deconvs.{i}."),
            (f"NormalDecoder.N2deconv{i + 4}_bn.", f"block.decoder.norms.{i}."),
        ]
    return pairs


def load_author_generator(path: str | Path) -> CasFNE:
    """Build the generator from the authors' file.

    Args:
        path: Their checkpoint.

    Returns:
        The generator with t = 2 in eval mode: called on (B, 3, 256, 256) it gives the normals of
        t = 0, 1, 2, in the frame they were trained in.

    Raises:
        UserError: If the file cannot be read, or is not laid out as theirs: lists names that
            are missing or left over, or two tensors that differ and should be the same.
    """
    path = Path(path)
    whole = read_torch_file(path)
    if not isinstance(whole, Mapping) or "model" not in whole:
        got = sorted(map(str, whole)) if isinstance(whole, Mapping) else type(whole).__name__
        raise UserError(f"{path} must be a dict with 'model' as the authors' file is, got {got}")
    model = CasFNE(2)
    own = model.state_dict()
    names = {
        theirs + name.removeprefix(ours): name
        for theirs, ours in _prefixes()
        for name in own
        if name.startswith(ours)
    }
    wanted = {theirs: own[name] for theirs, name in names.items()} | FC
    found = check_tensors(path, whole["model"], wanted)
    first: dict[str, str] = {}
    for theirs, name in names.items():
        same = first.setdefault(name, theirs)
        if not torch.equal(found[theirs], found[same]):
            raise UserError(
                f"{path}: {same} and {theirs} must be the same tensor, but their values differ; "
                "it is not the authors' file as published"
            )
    model.load_state_dict({name: found[theirs] for name, theirs in first.items()})
    return model.eval()
