"""Many photos: a few in memory at a time, in order."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from facegeo.errors import UserError
from facegeo.predict.detectors import WholeImage
from facegeo.predict.photo import Boxes, Floats, Image
from facegeo.predict.predictor import AT_ONCE, Predictor


def test_photos_are_read_a_few_at_a_time_and_stay_in_order(tmp_path: Path) -> None:
    """The first are predicted although a later one is missing."""
    calls = []

    def find_points(images: Sequence[Image], boxes: Sequence[Boxes]) -> Sequence[Floats]:
        calls.append(len(images))
        return [np.full((1, 1, 5, 2), image[0, 0, 0], np.float32) for image in images]

    predictor = Predictor(find_points, WholeImage())
    count = 2 * AT_ONCE + 3
    photos = [np.full((4, 4, 3), n, np.uint8) for n in range(count)]
    for many in (photos, np.stack(photos), (photo for photo in photos)):
        calls.clear()
        found = predictor.many(many)
        assert [faces[0].points[0, 0] for faces in found] == list(range(count))
        assert calls == [AT_ONCE, AT_ONCE, 3]
    calls.clear()
    with pytest.raises(UserError, match=r"gone\.jpg: wanted a readable image"):
        predictor.many([*photos, tmp_path / "gone.jpg"])
    assert calls == [AT_ONCE, AT_ONCE]
    boxes = [None, *[[0, 2 + n % 2, 0, 2] for n in range(1, count)]]
    found = predictor.many(photos, boxes)
    assert [faces[0].box[1] for faces in found] == [3.5, *[2 + n % 2 for n in range(1, count)]]
    assert predictor.many([]) == []
