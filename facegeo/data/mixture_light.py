"""Random light for mixtures: which photographs of a person are added, and how much of each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields

import torch
from torch import Tensor

from facegeo.errors import UserError

LIGHTS = 8
"""Most photographs of a mixture."""
NUMBERS = 1 + 6 * LIGHTS + 5
"""Random numbers that the light of a picture takes."""


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

    single: float = 0.3
    few: float = 0.25
    soft: float = 0.25
    key_and_fill: float = 0.2
    behind: float = 0.1
    colour: float = 0.15
    coloured: float = 0.3

    def __post_init__(self) -> None:
        for field in fields(self):
            if not 0 <= getattr(self, field.name) <= 1:
                value = getattr(self, field.name)
                raise UserError(f"data.light.{field.name} must be from 0 to 1, got {value}")
        if sum(self.shares) <= 0:
            raise UserError("data.light: single, few, soft and key_and_fill are all 0")

    @property
    def shares(self) -> tuple[float, float, float, float]:
        """Probabilities of the four ways, in proportion."""
        return self.single, self.few, self.soft, self.key_and_fill


@dataclass(frozen=True, eq=False)
class LampTable:
    """Where the photographs of P people are, those lit from the camera's side first.

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
        longest = max(map(len, directions))
        rows = torch.empty(len(first), longest, dtype=torch.int64)
        sorted_directions = torch.zeros(len(first), longest, 3)
        front = torch.empty(len(first), dtype=torch.int64)
        for person, (start, own) in enumerate(zip(first, directions, strict=True)):
            vectors = torch.tensor(own)
            ahead = vectors[:, 2] > 0
            order = torch.cat([ahead.nonzero()[:, 0], (~ahead).nonzero()[:, 0]])
            order = torch.cat([order, order[:1].expand(longest - len(own))])
            rows[person], sorted_directions[person] = order + start, vectors[order]
            front[person] = ahead.sum()
        return cls(rows, sorted_directions, front, torch.tensor([len(own) for own in directions]))


def draw_light(
    light: MixtureLight, table: LampTable, people: Tensor, numbers: Tensor
) -> tuple[Tensor, Tensor]:
    """Choose photographs and weights.

    Args:
        light: How pictures are lit.
        table: Photographs of all people.
        people: Who is seen, int64, (B,).
        numbers: Uniform in [0, 1), (B, NUMBERS).

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


def fixed_light(
    weights: Mapping[str, float], names: Sequence[str], first: int
) -> tuple[list[int], list[float]]:
    """Rows and weights of a fixed mixture of one person; lamps without photograph are left out.

    Args:
        weights: By the lights' names, such as ``A+035E+20``.
        names: Of the person's lights, one a photograph.
        first: Row of the first photograph.

    Returns:
        Rows, and weights with the sum that all weights have.

    Raises:
        UserError: If the person has none of the photographs.
    """
    rows = {name: first + place for place, name in enumerate(names)}
    there = {name: weight for name, weight in weights.items() if name in rows}
    if not there:
        raise UserError(f"a mixture must name lights such as {names[0]}, got {', '.join(weights)}")
    scale = sum(weights.values()) / sum(there.values())
    return [rows[name] for name in there], [scale * weight for weight in there.values()]
