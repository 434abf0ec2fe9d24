"""A worker that dies ends the work with a message."""

import os
from collections.abc import Callable

import pytest

from facegeo.errors import UserError
from facegeo.rendering.workers import share

KILLED = r"a worker was killed \(out of memory\?\); run the same command again to finish"


def test_results_come_back_for_every_item() -> None:
    assert sorted(share(abs, [-1, -2, 3], 2, print)) == [1, 2, 3]


@pytest.mark.parametrize(
    ("work", "start"),
    [(os._exit, abs), (abs, os._exit), (abs, len)],
    ids=["work", "start", "raise"],
)
def test_a_dead_worker_is_reported(
    work: Callable[[int], int], start: Callable[..., object]
) -> None:
    with pytest.raises(UserError, match=KILLED):
        list(share(work, [1, 1], 2, start, 1))
