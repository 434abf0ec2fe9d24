import os
import pickle
import sys

import numpy as np
import numpy.typing as npt
import pytest

from facegeo.errors import UserError
from facegeo.normals.augment import NO_UPDATE, Photometric

IMAGE = np.random.default_rng(0).integers(0, 256, (24, 24, 3), dtype=np.uint8)
LIGHT = {"RandomBrightnessContrast": {"p": 1.0}, "RandomGamma": {"p": 0.5}}


def seen(change: Photometric, *key: int) -> npt.NDArray[np.uint8]:
    return change(IMAGE, *key)


@pytest.fixture
def change() -> Photometric:
    pytest.importorskip("albumentations")
    return Photometric(LIGHT)


def test_random_numbers_depend_only_on_seed_epoch_and_row(change: Photometric) -> None:
    first = seen(change, 0, 0, 0)
    others = [seen(change, *key) for key in [(1, 0, 0), (0, 1, 0), (0, 0, 1), (0, 1, 1)]]
    assert len({image.tobytes() for image in [first, *others]}) == 5
    np.testing.assert_array_equal(seen(change, 0, 0, 0), first)
    np.testing.assert_array_equal(seen(Photometric(LIGHT), 0, 0, 0), first)


def test_another_process_draws_the_same(change: Photometric) -> None:
    copy = pickle.loads(pickle.dumps(change))
    np.testing.assert_array_equal(seen(copy, 3, 2, 1), seen(change, 3, 2, 1))


def test_albumentations_asks_the_network_nothing(
    change: Photometric, monkeypatch: pytest.MonkeyPatch
) -> None:
    from albumentations import check_version

    def ask() -> None:
        raise AssertionError("asked for a newer version")

    monkeypatch.setattr(check_version, "check_for_updates", ask)
    for before in (None, "0"):
        monkeypatch.delitem(sys.modules, "albumentations")
        if before is not None:
            monkeypatch.setenv(NO_UPDATE, before)
        Photometric(LIGHT)
        assert os.environ.get(NO_UPDATE) == before


def test_a_missing_albumentations_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "albumentations", None)
    with pytest.raises(
        UserError, match=r'needs albumentations .* pip install "facegeo\[augment\]"'
    ):
        Photometric(LIGHT)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("HorizontalFlip", {}, "leaves pixels where they are.* got HorizontalFlip"),
        ("NoSuch", {}, "transforms.NoSuch: wanted a transform of albumentations"),
        ("RandomGamma", {"gamma_limit": "x"}, "RandomGamma: .*gamma_limit.*; change its options"),
        ("RandomGamma", {"gama_limit": 3}, "RandomGamma: .*'gama_limit'.*; change its options"),
    ],
)
def test_a_transform_that_does_not_fit_is_named(
    change: Photometric, name: str, options: dict[str, object], message: str
) -> None:
    with pytest.raises(UserError, match=message):
        Photometric({name: options})
