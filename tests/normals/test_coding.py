"""Which coding a model knows, and photos in it."""

from typing import Any

import pytest
import torch

from facegeo.normals.maps import as_trained, trained_coding


@pytest.mark.parametrize(
    ("notes", "coding"),
    [
        ({"coding": "srgb", "data": "generated sessions"}, "srgb"),
        ({"coding": None, "data": "generated sessions"}, None),
        ({"coding": "linear", "data": "Photoface"}, "linear"),
        ({"data": "generated sessions"}, "linear"),  # of before notes told it
        ({"data": "fixture of generated sessions"}, "linear"),
        ({"data": "Photoface"}, None),
        ({}, None),
    ],
)
def test_notes_tell_the_coding_and_older_ones_that_of_generated_sessions(
    notes: dict[str, Any], coding: str | None
) -> None:
    assert trained_coding(notes) == coding


def test_photos_are_linearised_for_models_of_linear_ones_alone() -> None:
    photos = torch.tensor([0.0, 0.5, 1.0])
    wanted = torch.tensor([0, 0.21404114, 1])  # IEC 61966-2-1
    torch.testing.assert_close(as_trained(photos, "linear"), wanted)
    assert as_trained(photos, "srgb") is photos
    assert as_trained(photos, None) is photos
