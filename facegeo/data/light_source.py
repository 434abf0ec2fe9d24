"""Light directions from ``LightSource.m``, the MATLAB source beside four raw photographs.

No real file was seen. Public code takes the numbers between brackets, or every second number of
the file; a public text says that they are zenith and azimuth of the four lights. From which axis
azimuth counts is open: the directions pass through a named frame.
"""

import re
from collections.abc import Sequence

import torch
from torch import Tensor

from facegeo.data.faults import WantedError
from facegeo.geometry.lamps import check_lights, light_directions
from facegeo.geometry.normals import from_frame

FORMATS = ("zenith_azimuth_deg", "xyz")
NUMBER = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?"
ASSIGNMENT = re.compile(rf"([A-Za-z]\w*)\s*(?:\([^)]*\))?\s*=\s*(\[[^\]]*\]|{NUMBER})")
ZENITH, AZIMUTH = re.compile(r"zen|slant|polar", re.I), re.compile(r"azi|tilt", re.I)


def read_lights(text: str, count: int, layout: str, frame: str) -> Tensor:
    """Read and check the lights of one session.

    Angles may stand in variables named for them (``zenith1 = [38]; azimuth1 = [42]``, or all
    zeniths in one and all azimuths in another), in rows ``[z a; z a; ...]``, in two rows, or
    behind an index or a name with a digit each.

    Args:
        text: The file.
        count: How many lights it must hold.
        layout: ``zenith_azimuth_deg``, angles in degrees, zenith from the camera's axis and
            azimuth from the first axis of ``frame`` to the second; or ``xyz``, three numbers a
            light along the axes of ``frame``.
        frame: Key of ``facegeo.geometry.normals.FRAMES``.

    Returns:
        Unit vectors towards the lights, x right, y up, z to the camera, float64, (count, 3).

    Raises:
        WantedError: If the numbers are others, or the lights lie behind the camera's plane or in
            one plane.
    """
    text = re.sub(r"%.*", "", text)
    width = 3 if layout == "xyz" else 2
    table = _named_angles(text) if width == 2 else None
    if table is None:
        table = _rows(text, count, width)
    if len(table) != count:
        raise WantedError(f"{count} lights", f"{len(table)}")
    values = torch.tensor(table, dtype=torch.float64)
    stored = values if width == 3 else light_directions(values[:, 0], values[:, 1])
    lights = from_frame(stored.T[..., None], frame)[..., 0].T
    lights = torch.nn.functional.normalize(lights, dim=1)
    if not bool((lights[:, 2] > 0).all()):  # NaN fails as well
        row = table[int((~(lights[:, 2] > 0)).int().argmax())]
        raise WantedError("lights on the camera's side", f"({', '.join(f'{v:g}' for v in row)})")
    try:
        check_lights(lights)
    except ValueError as error:
        raise WantedError("lights that do not lie in one plane", str(error)) from error
    return lights


def _named_angles(text: str) -> list[tuple[float, ...]] | None:
    """Pairs of zenith and azimuth from variables named so; None if none is."""
    angles: dict[str, list[float]] = {"zenith": [], "azimuth": []}
    for name, value in ASSIGNMENT.findall(text):
        for kind, pattern in (("zenith", ZENITH), ("azimuth", AZIMUTH)):
            if pattern.search(name) and not (kind == "azimuth" and ZENITH.search(name)):
                angles[kind] += _numbers(value)
    if not angles["zenith"] and not angles["azimuth"]:
        return None
    if len(angles["zenith"]) != len(angles["azimuth"]):
        got = " and ".join(f"{len(values)} {kind}s" for kind, values in angles.items())
        raise WantedError("a zenith and an azimuth for each light", got)
    return list(zip(angles["zenith"], angles["azimuth"], strict=True))


def _rows(text: str, count: int, width: int) -> list[tuple[float, ...]]:
    """Rows of ``width`` numbers: between brackets, else all, else every second number."""
    inside = " ".join(re.findall(r"\[([^\]]*)\]", text, re.S))
    for values in (_numbers(inside), _numbers(text), _numbers(text)[1::2]):
        if len(values) == count * width:
            break
    else:
        wanted = f"{count} lights of {width} numbers"
        raise WantedError(wanted, f"{len(_numbers(text))} numbers, {text.strip()[:60]!r}")
    rows = [row for row in re.split(r"[;\n]", inside) if _numbers(row)]
    if width != count and len(rows) == width and len(_numbers(rows[0])) == count:
        return list(zip(*(_numbers(row) for row in rows), strict=True))
    return [tuple(values[i : i + width]) for i in range(0, len(values), width)]


def _numbers(text: str) -> Sequence[float]:
    return [float(number) for number in re.findall(NUMBER, text)]
