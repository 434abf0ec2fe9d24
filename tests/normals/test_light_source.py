"""LightSource.m: every spelling gives the same lights, and each fault is named."""

import pytest
import torch

from facegeo.files.faults import WantedError
from facegeo.normals.sessions import read_lights

ANGLES = [(38.0, 42.0), (38.0, 138.0), (33.0, 222.0), (33.0, 318.0)]
ONE_A_LINE = "% zenith0 = [1]; from the axis\n" + "".join(
    f"zenith{k} = [{z:.4f}];\nazimuth{k} = [{a}];\n" for k, (z, a) in enumerate(ANGLES, 1)
)
SPELLINGS = {
    "named": ONE_A_LINE,
    "no brackets": ONE_A_LINE.replace("[", "").replace("]", ""),
    "two vectors": "Zenith = [38; 38; 33; 33]; Azimuth = [42; 138; 222; 318];",
    "azimuths first": "azi = [42 138 222 318];\r\nzen = [3.8e1 38 33 33];\r\n",
    "rows": "LightSource = [38 42; 38 138; 33 222; 33 318];",
    "lines": "L = [38, 42\n38, 138\n33, 222\n33, 318]",
    "two rows": "L = [38 38 33 33; 42 138 222 318];",
    "every second": "".join(f"l{2 * k} {z}\nl{2 * k + 1} {a}\n" for k, (z, a) in enumerate(ANGLES)),
}


@pytest.mark.parametrize("text", SPELLINGS.values(), ids=SPELLINGS)
def test_spellings(text: str) -> None:
    zenith, azimuth = torch.deg2rad(torch.tensor(ANGLES, dtype=torch.float64)).T
    x, y = zenith.sin() * azimuth.cos(), zenith.sin() * azimuth.sin()
    wanted = torch.stack([x, y, zenith.cos()], dim=1)
    torch.testing.assert_close(
        read_lights(text, 4, "zenith_azimuth_deg", "right_up_camera"), wanted, atol=1e-5, rtol=0
    )


def test_azimuth_counts_between_the_axes_of_the_frame() -> None:
    text = "L = [30 0; 30 90; 30 180; 40 270]"
    lights = read_lights(text, 4, "zenith_azimuth_deg", "down_right_camera")
    assert lights[0, 1] == pytest.approx(-0.5)  # azimuth 0: down
    assert lights[1, 0] == pytest.approx(0.5)  # azimuth 90: right


def test_directions_need_not_have_unit_length() -> None:
    text = "L = [2 0 2; -1 0 1; 0 3 3; 0 -4 4];"
    lights = read_lights(text, 4, "xyz", "right_up_camera")
    half = 0.5**0.5
    wanted = [[half, 0, half], [-half, 0, half], [0, half, half], [0, -half, half]]
    torch.testing.assert_close(lights, torch.tensor(wanted, dtype=torch.float64))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "4 lights of 2 numbers.*0 numbers"),
        ("garbled \x00 file 12 34 56", "4 lights of 2 numbers.*3 numbers"),
        (ONE_A_LINE.replace("azimuth4", "other"), "a zenith and an azimuth.*4 zeniths and 3"),
        ("zenith = [38 38 33]; azimuth = [42 138 222];", "4 lights.*3"),
        ("L = [38 42; 38 42; 38 42; 38 42]", "not lie in one plane.*condition number"),
        ("L = [10 0; 40 0; 70 0; 30 180]", "not lie in one plane.*condition number"),
        ("L = [38 42; 38 138; 120 222; 33 318]", r"on the camera's side.*\(120, 222\)"),
    ],
    ids=["empty", "garbled", "lost", "three", "one", "fan", "behind"],
)
def test_faults(text: str, message: str) -> None:
    with pytest.raises(WantedError, match=message):
        read_lights(text, 4, "zenith_azimuth_deg", "right_up_camera")
