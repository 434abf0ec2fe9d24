"""Rendering as it is timed: a row a layout, four photographs a session."""

import pytest

from facegeo.bench import rendering


class Studio:
    """In place of one that renders."""

    def __init__(self, head: str, *, device: str) -> None:
        assert (head, device) == ("anny", "cpu")


def test_a_row_a_layout(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[str] = []
    for name, (kind, _) in rendering.LAYOUTS.items():
        monkeypatch.setattr(
            kind, "make", lambda self, studio, order, task, n=name: made.append(f"{n} {order.size}")
        )
    monkeypatch.setattr(rendering, "Studio", Studio)
    (faces,), (sessions,) = rendering.rendering_rows(64, 3, "cpu", "cpu")
    assert made == ["landmarks 64"] * 4 + ["photoface 64"] * 4  # the first warms up
    assert (faces.items, sessions.items) == (1, 4)
    assert (faces.rounds, sessions.rounds) == (3, 3)


@pytest.mark.slow
def test_faces_are_rendered() -> None:
    (faces,), (sessions,) = rendering.rendering_rows(32, 1, "cpu", "cpu")
    assert faces.median_ms > 0
    assert sessions.median_ms > 0
