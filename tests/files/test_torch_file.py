"""Reading torch's files: no code is run, and damage is distinguished from other content."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from facegeo.errors import UserError
from facegeo.files.torch_file import read_torch_file


class Loud:
    """Its pickle calls a function."""

    def __reduce__(self) -> tuple[Callable[..., object], tuple[str]]:
        return (Path.touch, (Path("ran-code"),))  # type: ignore[return-value]


def test_no_code_of_a_file_is_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save({"model": Loud()}, "evil.pth")
    with pytest.raises(UserError, match=r"evil.pth is damaged, or holds more than tensors"):
        read_torch_file(Path("evil.pth"))
    assert not Path("ran-code").exists()


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda data: data[: len(data) // 2], "weights.pth is not a complete file of torch.save"),
        (lambda data: b"", "weights.pth is not a complete file of torch.save"),
        (lambda data: b"<html>not found</html>", "weights.pth is damaged, or holds more than"),
    ],
    ids=["cut", "empty", "a-web-page"],
)
def test_damaged_files_are_reported(
    damage: Callable[[bytes], bytes], message: str, tmp_path: Path
) -> None:
    path = tmp_path / "weights.pth"
    torch.save({"a": torch.zeros(100)}, path)
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(UserError, match=message):
        read_torch_file(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"cannot read .*none.pth: No such file"):
        read_torch_file(tmp_path / "none.pth")
    with pytest.raises(UserError, match=r"cannot read .*: Is a directory"):
        read_torch_file(tmp_path)
