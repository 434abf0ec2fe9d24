import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from facegeo.errors import UserError
from facegeo.training.stream import content_digest, keep_split_file, twins, validation_split

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


def test_another_seed_gives_another_split() -> None:
    assert chosen(DIGESTS, seed=1) != chosen(DIGESTS)


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
def test_useless_fractions(count: int, fraction: float, message: str) -> None:
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


def test_twins_are_all_pairs() -> None:
    assert twins(["a", "b", "a", "c"], ["c", "a", "x", "a"]) == [
        (0, 1),
        (0, 3),
        (2, 1),
        (2, 3),
        (3, 0),
    ]
    assert twins(["a"], ["b"]) == []
