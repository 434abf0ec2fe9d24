"""Pictures of people under random mixtures of their lamps, made in batches."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NotRequired, TypedDict

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d, max_pool2d

from facegeo.checks import Share, checked
from facegeo.errors import UserError
from facegeo.geometry.light import to_srgb
from facegeo.normals.augment import FaceView, View, flip_faces, sample_faces
from facegeo.normals.data import NormalBatch, WholeBatches
from facegeo.normals.people import People
from facegeo.normals.photo_effects import NUMBERS as EFFECT_NUMBERS
from facegeo.normals.photo_effects import PhotoEffects, photograph
from facegeo.training.stream import Draw, seeded

LIGHTS = 8
"""Most photographs of a mixture."""
LIGHT_NUMBERS = 1 + 6 * LIGHTS + 5
"""Random numbers that the light of a picture takes."""


@checked(prefix="data.light.")
@dataclass(frozen=True)
class MixtureLight:
    """How training pictures are lit. All numbers are ours.

    A picture is lit in one of four ways, with probabilities in proportion to the first four:

    Attributes:
        single: One lamp, as a flash.
        few: Two to four lamps of any strengths.
        soft: Eight lamps about one direction, as a window or a soft box.
        key_and_fill: One lamp and weak light from seven others, as outdoors.
        behind: Share of main lights that may be any lamp, those behind the face too.
        colour: How far the colours of lamps are from white: standard deviation of the logarithm of
            red over green, and of blue over green.
        coloured: Share of pictures whose lamps have unlike colours.
    """

    single: Share = 0.3
    few: Share = 0.25
    soft: Share = 0.25
    key_and_fill: Share = 0.2
    behind: Share = 0.1
    colour: Share = 0.15
    coloured: Share = 0.3

    def __post_init__(self) -> None:
        if sum(self.shares) <= 0:
            raise UserError("data.light: single, few, soft and key_and_fill are all 0")

    @property
    def shares(self) -> tuple[float, float, float, float]:
        """Probabilities of the four ways, in proportion."""
        return self.single, self.few, self.soft, self.key_and_fill


@dataclass(frozen=True, eq=False)
class LampTable:
    """Rows of the photographs of P people, those lit from the camera's side first.

    Attributes:
        rows: Rows of the photographs, filled up with the first, int64, (P, N).
        directions: Unit vectors towards their lights, (P, N, 3).
        front: Photographs lit from the camera's side, int64, (P,).
        counts: Photographs, int64, (P,).
    """

    rows: Tensor
    directions: Tensor
    front: Tensor
    counts: Tensor

    @classmethod
    def of(cls, first: Sequence[int], directions: Sequence[Sequence[Sequence[float]]]) -> LampTable:
        """Tabulate people.

        Args:
            first: Row of each person's first photograph, P.
            directions: Towards the lights of each person's photographs, P x N x 3.
        """
        counts = [len(own) for own in directions]
        rows, ordered, front = [], [], []
        for start, own in zip(first, directions, strict=True):
            vectors = torch.tensor(own)
            ahead = vectors[:, 2] > 0
            order = torch.argsort(ahead.int(), descending=True, stable=True)
            order = torch.cat([order, order[:1].expand(max(counts) - len(own))])
            rows.append(order + start)
            ordered.append(vectors[order])
            front.append(int(ahead.sum()))
        return cls(
            torch.stack(rows), torch.stack(ordered), torch.tensor(front), torch.tensor(counts)
        )


def draw_light(
    light: MixtureLight, table: LampTable, people: Tensor, numbers: Tensor
) -> tuple[Tensor, Tensor]:
    """Choose photographs and weights.

    Args:
        light: How pictures are lit.
        table: Photographs of all people.
        people: Who is seen, int64, (B,).
        numbers: Uniform in [0, 1), (B, LIGHT_NUMBERS).

    Returns:
        Rows of the photographs, int64, (B, LIGHTS), and their weights for red, green and blue,
        which sum to about 1, (B, LIGHTS, 3).
    """
    which, rest = numbers[:, 0].contiguous(), numbers[:, 1:]
    picked, strength, tint = rest[:, : 6 * LIGHTS].split([LIGHTS, LIGHTS, 4 * LIGHTS], dim=1)
    behind, count, spread, coloured, fill = rest[:, 6 * LIGHTS :].unbind(1)
    counts, front = table.counts[people], table.front[people]
    main = torch.where(behind < light.behind, counts, front.clamp_min(1))
    place = (picked * counts[:, None]).long()
    place[:, 0] = (picked[:, 0] * main).long()
    directions = table.directions[people]
    chosen = directions.gather(1, place[..., None].expand(-1, -1, 3))
    shares = torch.tensor(light.shares).cumsum(0) / sum(light.shares)
    kind = torch.bucketize(which, shares[:-1], right=True)
    weights = _weights(kind, strength, count, spread, fill, chosen)
    weights = weights / weights.sum(1, keepdim=True)
    normal = torch.special.ndtri(tint.clamp(1e-4, 1 - 1e-4)).unflatten(1, (LIGHTS, 4))
    own = torch.where((coloured < light.coloured)[:, None, None], normal[..., :2], 0)
    logs = light.colour * (normal[:, :1, 2:] + 1.5 * own)
    colours = torch.stack([logs[..., 0], torch.zeros_like(logs[..., 0]), logs[..., 1]], dim=2).exp()
    return table.rows[people].gather(1, place), weights[..., None] * colours


def _weights(
    kind: Tensor, strength: Tensor, count: Tensor, spread: Tensor, fill: Tensor, chosen: Tensor
) -> Tensor:
    """Weights (B, LIGHTS) of the four ways to light a picture."""
    order = torch.arange(LIGHTS)
    single = (order == 0).float().expand_as(strength)
    few = (order < 2 + (3 * count[:, None]).long()) * (0.15 + strength)
    cosine = (chosen * chosen[:, :1]).sum(-1)
    soft = torch.exp((cosine - 1) * (0.5 + 6 * spread[:, None] ** 2)) * (0.3 + strength)
    filled = torch.where(order == 0, 1.0, strength * (0.05 + 0.35 * fill[:, None]))
    ways = torch.stack([single, few, soft, filled], dim=1)
    return ways.gather(1, kind[:, None, None].expand(-1, 1, LIGHTS))[:, 0]


VIEW_NUMBERS = 5
"""Random numbers that a view takes."""
HEAD = (0.66, 1.05, 0.72)
"""Half width, reach above and below the middle of a head, in half sides of the face's square."""


class DrawnBatch(TypedDict):
    """The photographs to add and random numbers for effects and views: no pixels."""

    sample: Tensor
    """Row in the data set, int64, (B,)."""
    person: Tensor
    """Row of the person, int64, (B,)."""
    photos: Tensor
    """Rows of the photographs, int64, (B, K)."""
    weights: Tensor
    """Of each photograph for red, green and blue, (B, K, 3)."""
    view: NotRequired[Tensor]
    """Random numbers of the view, (B, ...); without, faces are shown as they are."""
    effects: NotRequired[Tensor]
    """Random numbers of the photographic effects, (B, ...); without, only sRGB."""


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
        return DrawnBatch(
            sample=sample, person=person, photos=photos, weights=weights, view=view, effects=effects
        )


class FixedMixtures(WholeBatches):
    """Given mixtures: each row is one photograph or a weighted sum of several.

    Args:
        chosen: Of each picture, at least one: row of the person, rows of the photographs and
            their weights.
    """

    def __init__(self, chosen: Sequence[tuple[int, list[int], list[float]]]) -> None:
        most = max(len(photos) for _, photos, _ in chosen)  # shorter ones get photos of weight 0
        photos = [rows + rows[:1] * (most - len(rows)) for _, rows, _ in chosen]
        weights = [own + [0.0] * (most - len(own)) for _, _, own in chosen]
        self.person = torch.tensor([row for row, _, _ in chosen])
        self.photos, self.weights = torch.tensor(photos), torch.tensor(weights)

    def __len__(self) -> int:
        return len(self.person)

    def __getitems__(self, rows: Sequence[int]) -> DrawnBatch:
        """A batch of pictures by their rows."""
        sample = torch.tensor(rows)
        return DrawnBatch(
            sample=sample,
            person=self.person[sample],
            photos=self.photos[sample],
            weights=self.weights[sample][..., None].expand(-1, -1, 3).contiguous(),
        )


def develop_mixtures(
    batch: DrawnBatch, people: People, size: int, view: FaceView, effects: PhotoEffects
) -> NormalBatch:
    """Add photographs, cut out and move the faces with their normals, and make photos of them.

    The cut-out is the square that ``facegeo.predict.normals`` shows to a generator; where it leaves
    the photographs, their border is repeated and no pixel is in the mask.

    Args:
        batch: The draws.
        people: On the batch's device.
        size: Side S of the pictures, px.
        view: Limits of the faces' movement.
        effects: Effects on pictures.
    """
    person = batch["person"]
    photos = people.photos[batch["photos"]].flatten(2).float()
    light = batch["weights"].transpose(1, 2) @ photos / 255
    light = light.unflatten(2, people.photos.shape[1:])
    normal, mask = people.normals[person].float(), people.masks[person]
    moved = View.still(len(person), light.device)
    if "view" in batch:
        moved = view.of(batch["view"])
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
