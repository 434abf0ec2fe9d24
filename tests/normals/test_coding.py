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
        ({"data": "generated sessions"}, "linear"),  # before notes stored it
        ({"data": "fixture of generated sessions"}, "linear"),
        ({"data": "Photoface"}, None),
        ({}, None),
    ],
)
def test_coding_is_read_from_notes_and_inferred_for_older_models(
    notes: dict[str, Any], coding: str | None
) -> None:
    assert trained_coding(notes) == coding


def test_photos_are_linearised_only_for_models_of_linear_photos() -> None:
    photos = torch.tensor([0.0, 0.5, 1.0])
    wanted = torch.tensor([0, 0.21404114, 1])  # IEC 61966-2-1
    torch.testing.assert_close(as_trained(photos, "linear"), wanted)
    assert as_trained(photos, "srgb") is photos
    assert as_trained(photos, None) is photos
