"""Weights that runs of studies have in common: whose are taken, whose are kept."""

from pathlib import Path

from facegeo.training.results import SharedWeights


def test_weights_of_one_run_are_reused_by_the_next(tmp_path: Path) -> None:
    first, second = (SharedWeights(tmp_path / "shared", {"stage1": "key"}) for _ in range(2))
    own, other = tmp_path / "a" / "stage1", tmp_path / "b" / "stage1"
    own.parent.mkdir()
    with first.reserved("stage1", own):
        own.write_bytes(b"trained")
    with second.reserved("stage1", other):
        assert other.read_bytes() == b"trained"
    assert (first.taken, second.taken) == ({}, {"stage1": "key"})


def test_weights_of_an_earlier_session_are_not_given_to_others(tmp_path: Path) -> None:
    """They may be from code or data that the present key does not describe."""
    own = tmp_path / "stage1"
    own.write_bytes(b"old")
    with SharedWeights(tmp_path / "shared", {"stage1": "key"}).reserved("stage1", own):
        pass
    assert not (tmp_path / "shared" / "key.safetensors").exists()
    assert own.read_bytes() == b"old"
