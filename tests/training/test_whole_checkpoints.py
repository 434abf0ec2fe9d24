from pathlib import Path

import pytest
import torch

from facegeo.training.callbacks import WholeCheckpoints


def test_a_checkpoint_comes_back(tmp_path: Path) -> None:
    path = tmp_path / "new" / "last.ckpt"
    WholeCheckpoints().save_checkpoint({"a": torch.arange(3), "step": 7}, path)
    loaded = torch.load(path, weights_only=True)
    assert loaded["step"] == 7
    assert torch.equal(loaded["a"], torch.arange(3))
    assert [file.name for file in path.parent.iterdir()] == ["last.ckpt"]


def test_a_checkpoint_removes_the_half_one_of_a_killed_process(tmp_path: Path) -> None:
    (tmp_path / ".1.last.ckpt").write_bytes(b"half")
    WholeCheckpoints().save_checkpoint({"step": 7}, tmp_path / "last.ckpt")
    assert [file.name for file in tmp_path.iterdir()] == ["last.ckpt"]


def test_a_killed_write_leaves_the_checkpoint_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "last.ckpt"
    WholeCheckpoints().save_checkpoint({"step": 7}, path)

    def killed(_checkpoint: object, file: Path) -> None:
        file.write_bytes(b"half")
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(torch, "save", killed)
        with pytest.raises(KeyboardInterrupt):
            WholeCheckpoints().save_checkpoint({"step": 8}, path)
    assert torch.load(path, weights_only=True) == {"step": 7}
