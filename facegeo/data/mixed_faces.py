"""Mixtures of photographs as loaders hand them out, and as pictures on the training device."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NotRequired, TypedDict

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d, max_pool2d

from facegeo.data.mixture_light import NUMBERS as LIGHT_NUMBERS
from facegeo.data.mixture_light import LampTable, MixtureLight, draw_light
from facegeo.data.normal_augment import flip_faces, sample_faces
from facegeo.data.normal_data import WholeBatches
from facegeo.data.people import People
from facegeo.data.photo_effects import NUMBERS as EFFECT_NUMBERS
from facegeo.data.photo_effects import PhotoEffects, photograph
from facegeo.data.stream import Draw, seeded
from facegeo.data.view_draw import NUMBERS as VIEW_NUMBERS
from facegeo.data.view_draw import FaceView, View
from facegeo.geometry.light import to_srgb
from facegeo.types import NormalBatch

HEAD = (0.66, 1.05, 0.72)
"""Half width, reach above and below the middle of a head, in half sides of the face's square."""


class DrawnBatch(TypedDict):
    """Which photographs to add and how to show them: numbers alone, no pixels."""

    sample: Tensor
    """Row in the data set, int64, (B,)."""
    person: Tensor
    """Row of the person, int64, (B,)."""
    photos: Tensor
    """Rows of the photographs, int64, (B, K)."""
    weights: Tensor
    """Of each photograph for red, green and blue, (B, K, 3)."""
    view: NotRequired[Tensor]
    """Random numbers of the view, (B, ...); faces are shown as they are without."""
    effects: NotRequired[Tensor]
    """Random numbers of the photographic effects, (B, ...); sRGB alone without."""


class DrawnMixtures(WholeBatches):
    """Random mixtures of the training people.

    Args:
        people: Rows of the people.
        table: Photographs of all people.
        light: How pictures are lit.
        views: Pictures of each person in an epoch.
        seed: Seed of everything that is drawn.
    """

    def __init__(
        self, people: Tensor, table: LampTable, light: MixtureLight, views: int, seed: int
    ) -> None:
        self.people, self.table, self.light = people, table, light
        self.views, self.seed = views, seed

    def __len__(self) -> int:
        return len(self.people) * self.views

    def __getitems__(self, draws: Sequence[Draw]) -> DrawnBatch:
        """Draw a batch of (epoch, row); each picture is a function of seed, epoch and row."""
        count = LIGHT_NUMBERS + VIEW_NUMBERS + EFFECT_NUMBERS
        numbers = torch.stack(
            [torch.rand(count, generator=seeded(self.seed, 11, *draw)) for draw in draws]
        )
        light, view, effects = numbers.split([LIGHT_NUMBERS, VIEW_NUMBERS, EFFECT_NUMBERS], dim=1)
        sample = torch.tensor([row for _, row in draws])
        person = self.people[sample % len(self.people)]
        photos, weights = draw_light(self.light, self.table, person, light)
        return {
            "sample": sample,
            "person": person,
            "photos": photos,
            "weights": weights,
            "view": view,
            "effects": effects,
        }


class FixedMixtures(WholeBatches):
    """Given mixtures: each row is one photograph or a weighted sum of several.

    Args:
        person: Row of the person of each picture, int64, (N,).
        photos: Rows of its photographs, filled up with any, int64, (N, K).
        weights: Their weights, 0 for those that fill up, (N, K).
    """

    def __init__(self, person: Tensor, photos: Tensor, weights: Tensor) -> None:
        self.person, self.photos, self.weights = person, photos, weights

    def __len__(self) -> int:
        return len(self.person)

    def __getitems__(self, rows: Sequence[int]) -> DrawnBatch:
        """A batch of pictures by their rows."""
        sample = torch.tensor(rows)
        weights = self.weights[sample][..., None].expand(-1, -1, 3)
        return {
            "sample": sample,
            "person": self.person[sample],
            "photos": self.photos[sample],
            "weights": weights.contiguous(),
        }


def develop_mixtures(
    batch: DrawnBatch, people: People, size: int, view: FaceView, effects: PhotoEffects
) -> NormalBatch:
    """Add photographs, cut out and move the faces with their normals, and make photos of them.

    The cut-out is the square that ``facegeo.predict.normals`` shows to a generator; where it leaves
    the photographs, their border is repeated and no pixel is in the mask.

    Args:
        batch: What was drawn.
        people: On the batch's device.
        size: Side S of the pictures, px.
        view: How far faces may be moved.
        effects: What may happen to pictures.
    """
    person = batch["person"]
    photos = people.photos[batch["photos"]].flatten(2).float()
    light = batch["weights"].transpose(1, 2) @ photos / 255
    light = light.unflatten(2, people.photos.shape[1:])
    normal, mask = people.normals[person].float(), people.masks[person]
    still = View.still(len(person), light.device)
    moved = view.of(batch["view"]) if "view" in batch else still
    source = moved.source(people.squares[person], *light.shape[2:])
    over = max(1, round(people.side_px / size))
    light, normal, mask = sample_faces(light, normal * mask, mask, source, moved.angle, size, over)
    head = _heads(moved, mask)
    light, normal, mask = flip_faces(light, normal, mask, moved.flip)
    head = torch.where(moved.flip[:, None, None, None], head.flip(-1), head)
    if "effects" in batch:
        image = photograph(light, mask, head, batch["effects"], effects)
    else:
        image = (to_srgb(light) * 255).round() / 255
    return {"sample": batch["sample"], "image": image, "normal": normal, "mask": mask}


def _heads(view: View, mask: Tensor) -> Tensor:
    """1 within an ellipse about the head and about the mask, with a soft edge, (B, 1, S, S)."""
    size = mask.shape[-1]
    x, y = view.places(size).unbind(-1)
    half_width, above, below = HEAD
    distance = ((x / half_width) ** 2 + (y / torch.where(y < 0, above, below)) ** 2).sqrt()
    ellipse = ((1.06 - distance) / 0.12).clamp(0, 1)[:, None]
    reach = max(1, round(size / 32))
    grown = max_pool2d(mask.float(), (1, 4 * reach + 1), stride=1, padding=(0, 2 * reach))
    grown = max_pool2d(grown, (4 * reach + 1, 1), stride=1, padding=(2 * reach, 0))
    soft = avg_pool2d(grown, 2 * reach + 1, stride=1, padding=reach, count_include_pad=False)
    return torch.maximum(ellipse, soft)
