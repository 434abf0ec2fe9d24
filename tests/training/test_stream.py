"""Order of training samples, and random splits."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils.data import Dataset

from facegeo.errors import UserError
from facegeo.training.stream import (
    BatchStream,
    Draw,
    ResumableLoader,
    content_digest,
    keep_split_file,
    seeded,
    twins,
    validation_split,
)


class Rows(Dataset[list[Draw]]):
    def __getitems__(self, draws: list[Draw]) -> list[Draw]:
        return draws


def _same(batch: list[Draw]) -> list[Draw]:
    return batch


def loader(
    rows: int = 7, batch_size: int = 3, batches: int = 9, workers: int = 0
) -> ResumableLoader:
    stream = BatchStream(rows, batch_size, batches, seed=5)
    return ResumableLoader(
        Rows(),
        batch_sampler=stream,
        num_workers=workers,
        collate_fn=_same,
        generator=torch.Generator(),
    )


def test_every_row_comes_once_an_epoch_and_batches_are_full() -> None:
    batches = list(BatchStream(rows=7, batch_size=3, batches=14, seed=0))
    assert [len(batch) for batch in batches] == [3] * 14
    draws = [draw for batch in batches for draw in batch]
    for epoch in range(6):
        seen = draws[7 * epoch : 7 * (epoch + 1)]
        assert {number for number, _ in seen} == {epoch}
        assert sorted(row for _, row in seen) == list(range(7))


@pytest.mark.parametrize(("batches", "world", "epochs"), [(14, 1, 6), (15, 1, 7), (7, 2, 6)])
def test_epochs_counts_all_epochs_with_a_batch(batches: int, world: int, epochs: int) -> None:
    parts = [BatchStream(7, 3, batches, 0, rank, world) for rank in range(world)]
    assert [part.epochs for part in parts] == [epochs] * world
    assert 1 + max(epoch for part in parts for batch in part for epoch, _ in batch) == epochs


def test_a_batch_may_be_larger_than_the_data() -> None:
    (batch,) = BatchStream(rows=2, batch_size=5, batches=1, seed=0)
    assert [epoch for epoch, _ in batch] == [0, 0, 1, 1, 2]


def test_order_depends_on_seed_and_epoch() -> None:
    def order(seed: int) -> list[list[int]]:
        epochs = BatchStream(rows=50, batch_size=50, batches=2, seed=seed)
        return [[row for _, row in epoch] for epoch in epochs]

    assert order(0) == order(0)
    assert order(0)[0] != order(0)[1]
    assert order(0)[0] != order(1)[0]


def test_a_batch_does_not_depend_on_where_one_starts() -> None:
    stream = BatchStream(rows=7, batch_size=3, batches=9, seed=0)
    whole = list(stream)
    stream.start = 5
    assert list(stream) == whole[5:]
    assert list(BatchStream(rows=7, batch_size=3, batches=4, seed=0)) == whole[:4]


def test_processes_share_the_joint_batch() -> None:
    joint = list(BatchStream(rows=7, batch_size=6, batches=5, seed=0))
    parts = [list(BatchStream(7, 2, 5, seed=0, rank=rank, world=3)) for rank in range(3)]
    assert [a + b + c for a, b, c in zip(*parts, strict=True)] == joint


def test_seeded_generators_differ_by_each_number_and_their_order() -> None:
    numbers = [(0,), (1,), (0, 0), (0, 1), (1, 0), (0, 0, 1), (2**64 - 1,), (1, 2), (2, 1)]
    draws = [torch.rand(4, generator=seeded(*key)) for key in numbers]
    assert len({tuple(draw.tolist()) for draw in draws}) == len(numbers)
    torch.testing.assert_close(torch.rand(4, generator=seeded(2, 1)), draws[-1], rtol=0, atol=0)


def test_loader_resumes_from_its_state() -> None:
    first, second = loader(), loader()
    assert first.state_dict() == {"batches": 0}
    whole, some = list(loader()), []
    for batch in first:
        some.append(batch)
        if len(some) == 4:
            break
    assert first.state_dict() == {"batches": 4}
    second.load_state_dict({"batches": 4})
    assert some + list(second) == whole
    assert list(second) == whole  # the next pass starts over


def test_state_counts_batches_handed_out_not_those_fetched_ahead() -> None:
    first = loader(workers=1)
    next(iter(first))
    assert first.state_dict() == {"batches": 1}


def test_loading_draws_nothing_from_the_global_generator() -> None:
    torch.manual_seed(0)
    before = torch.get_rng_state()
    list(loader())
    assert torch.equal(torch.get_rng_state(), before)


DIGESTS = [f"digest {number}" for number in range(200)]
NAMES = [f"{number}.jpg" for number in range(200)]


def chosen(digests: list[str], fraction: float = 0.1, seed: int = 0) -> set[str]:
    return {digests[row] for row in validation_split(digests, fraction, seed)[1]}


def test_every_row_is_on_one_side_and_the_size_is_right() -> None:
    train, val = validation_split(DIGESTS, 0.1, 0)
    assert len(val) == 20
    np.testing.assert_array_equal(np.sort(np.concatenate([train, val])), np.arange(200))
    assert (np.diff(train) > 0).all()
    assert (np.diff(val) > 0).all()


def test_split_does_not_depend_on_the_order_of_the_list() -> None:
    assert chosen(DIGESTS[::-1]) == chosen(DIGESTS)


def test_split_is_the_same_in_every_run() -> None:
    # sha256sum of "3 d" starts with 3e, of "3 a" with 51, of "3 b" 52, "3 c" 9c, "3 e" b3
    assert chosen(list("abcde"), 0.4, seed=3) == {"d", "a"}


@pytest.mark.parametrize("seed", range(8))
def test_identical_images_stay_together(seed: int) -> None:
    digests = [f"digest {number // 3}" for number in range(120)]
    train, val = validation_split(digests, 0.25, seed)
    assert len(val) == 30
    assert not {digests[row] for row in train} & {digests[row] for row in val}


def test_small_lists_of_pairs_can_be_split() -> None:
    assert len(validation_split(["a", "a", "b", "b"], 0.25, 0)[1]) == 2


def test_fraction_zero_sets_nothing_aside() -> None:
    train, val = validation_split(DIGESTS, 0.0, 0)
    assert (len(train), len(val)) == (200, 0)


@pytest.mark.parametrize(
    ("count", "fraction", "message"),
    [
        (9, 1.0, "data.val_fraction must be at least 0 and below 1, got 1.0"),
        (9, -0.1, "data.val_fraction must be at least 0 and below 1, got -0.1"),
        (9, float("nan"), "data.val_fraction must be at least 0 and below 1, got nan"),
        (3, 0.1, "at least one image on each side, got 3 for training and 0 held out"),
        (3, 0.9, "at least one image on each side, got 0 for training and 3 held out"),
    ],
)
def test_fractions_out_of_range_are_refused(count: int, fraction: float, message: str) -> None:
    with pytest.raises(UserError, match=message):
        validation_split(DIGESTS[:count], fraction, 0)


SPLIT = {"seed": 0, "images": 3, "content": content_digest(NAMES, DIGESTS), "val": ["0.jpg"]}


def test_saved_split_is_compared_and_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "new" / "split.json"
    keep_split_file(path, SPLIT)
    before = path.read_bytes()
    keep_split_file(path, SPLIT | {"content": content_digest(NAMES[::-1], DIGESTS[::-1])})
    assert path.read_bytes() == before
    assert json.loads(before) == SPLIT
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"images": 2}, "wanted images 2, got 3"),
        ({"seed": 5}, "wanted seed 5, got 0"),
        ({"val": ["1.jpg"]}, r"wanted val \['1.jpg'\], got \['0.jpg'\]"),
        ({"content": content_digest(NAMES, ["changed", *DIGESTS[1:]])}, r"wanted content '\w+'"),
        ({"content": content_digest(["other", *NAMES[1:]], DIGESTS)}, r"wanted content '\w+'"),
    ],
    ids=["images", "seed", "val", "other-bytes", "other-name"],
)
def test_saved_split_of_other_data_is_refused(
    tmp_path: Path, change: dict[str, Any], message: str
) -> None:
    path = tmp_path / "split.json"
    keep_split_file(path, SPLIT)
    with pytest.raises(UserError, match=f"split.json: .*{message}"):
        keep_split_file(path, SPLIT | change)


@pytest.mark.parametrize(
    ("text", "message"),
    [('{"val": ["0.j', r"\(JSON\), got Unterminated"), ("[]", r"wanted seed 0, got \[\]")],
    ids=["torn", "no-object"],
)
def test_damaged_split_is_refused(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "split.json").write_text(text)
    with pytest.raises(UserError, match=message):
        keep_split_file(tmp_path / "split.json", SPLIT)


def test_twins_returns_every_pair_of_identical_images() -> None:
    assert twins(["a", "b", "a", "c"], ["c", "a", "x", "a"]) == [
        (0, 1),
        (0, 3),
        (2, 1),
        (2, 3),
        (3, 0),
    ]
    assert twins(["a"], ["b"]) == []
