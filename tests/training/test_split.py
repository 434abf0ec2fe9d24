import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from facegeo.errors import UserError
from facegeo.training.stream import load_split, save_split, saved_split, twins, validation_split

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
        (3, 0.1, "at least one image on each side, got 3 for training and 0 apart"),
        (3, 0.9, "at least one image on each side, got 0 for training and 3 apart"),
    ],
)
def test_useless_fractions(count: int, fraction: float, message: str) -> None:
    with pytest.raises(UserError, match=message):
        validation_split(DIGESTS[:count], fraction, 0)


def test_saved_split_is_used_for_a_list_in_another_order(tmp_path: Path) -> None:
    path = tmp_path / "new" / "split.json"
    drawn = saved_split(path, NAMES, DIGESTS, 0.1, 0)
    before = path.read_bytes()
    np.testing.assert_array_equal(drawn[1], validation_split(DIGESTS, 0.1, 0)[1])
    train, val = saved_split(path, NAMES[::-1], DIGESTS[::-1], 0.1, 0)
    np.testing.assert_array_equal(np.sort(199 - val), drawn[1])
    np.testing.assert_array_equal(np.sort(199 - train), drawn[0])
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]


def test_hand_made_split_is_kept(tmp_path: Path) -> None:
    save_split(tmp_path / "s.json", NAMES, DIGESTS, np.array([7, 3]), 0.1, 0)
    _, val = saved_split(tmp_path / "s.json", NAMES, DIGESTS, 0.1, 0)
    assert val.tolist() == [3, 7]


@pytest.mark.parametrize(
    ("names", "digests", "fraction", "seed", "message"),
    [
        (NAMES[1:], DIGESTS[1:], 0.1, 0, "wanted images 199, got images 200"),
        (NAMES, ["changed", *DIGESTS[1:]], 0.1, 0, r"wanted content \w+, got content \w+"),
        (["other.jpg", *NAMES[1:]], DIGESTS, 0.1, 0, r"wanted content \w+, got content \w+"),
        (NAMES, DIGESTS, 0.2, 0, "wanted fraction 0.2, got fraction 0.1"),
        (NAMES, DIGESTS, 0.1, 5, "wanted seed 5, got seed 0"),
    ],
    ids=["fewer", "other-bytes", "other-name", "fraction", "seed"],
)
def test_split_of_another_list_is_refused(
    tmp_path: Path, names: list[str], digests: list[str], fraction: float, seed: int, message: str
) -> None:
    path = tmp_path / "split.json"
    saved_split(path, NAMES, DIGESTS, 0.1, 0)
    with pytest.raises(UserError, match=f"split.json: .* does not fit: {message}; delete the file"):
        saved_split(path, names, digests, fraction, seed)


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda saved: saved | {"val": ["x.jpg", "y.jpg"]}, "got x.jpg and 1 more"),
        (lambda saved: saved | {"val": "0.jpg"}, "a list of image names \"val\", got '0.jpg'"),
        (lambda saved: saved | {"val": [3]}, r"a list of image names \"val\", got \[3\]"),
        (lambda saved: [], 'a list of image names "val", got None'),
    ],
    ids=["strangers", "no-list", "no-names", "no-object"],
)
def test_damaged_split_is_refused(
    tmp_path: Path, edit: Callable[[dict[str, Any]], object], message: str
) -> None:
    path = tmp_path / "split.json"
    saved_split(path, NAMES, DIGESTS, 0.1, 0)
    path.write_text(json.dumps(edit(json.loads(path.read_text()))))
    with pytest.raises(UserError, match=message):
        load_split(path, NAMES, DIGESTS, 0.1, 0)


def test_torn_split_is_refused(tmp_path: Path) -> None:
    (tmp_path / "split.json").write_text('{"val": ["0.j')
    with pytest.raises(UserError, match=r"wanted a saved split \(JSON\), got Unterminated"):
        load_split(tmp_path / "split.json", NAMES, DIGESTS, 0.1, 0)


def test_saved_split_may_not_part_identical_images(tmp_path: Path) -> None:
    names, digests = ["a", "b", "c"], ["same", "same", "other"]
    save_split(tmp_path / "s.json", names, digests, np.array([1]), 0.3, 0)
    message = "wanted identical images on one side, got a and b on two"
    with pytest.raises(UserError, match=message):
        load_split(tmp_path / "s.json", names, digests, 0.3, 0)


def test_twins_are_all_pairs() -> None:
    assert twins(["a", "b", "a", "c"], ["c", "a", "x", "a"]) == [
        (0, 1),
        (0, 3),
        (2, 1),
        (2, 3),
        (3, 0),
    ]
    assert twins(["a"], ["b"]) == []
