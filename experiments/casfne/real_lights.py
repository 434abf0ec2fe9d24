"""Write photos of one head under many lights, kept in one .npz, as a list that facegeo reads.

    python experiments/casfne/real_lights.py FILE.npz OUT

The file holds, for each subject S: S_images (L, H, W) uint8, S_azimuth_elevation_deg (L, 2),
S_ref_normals (H, W, 3), x right, y up, z to the camera, and S_mask (H, W). Photos lit from more
than 60 degrees aside or 50 above or below are left out: they show too little of the face. The
pictures are as wide as the face, so they are padded to squares of 1.2 times that width, as faces
for training are cut out. OUT gets faces.csv (face, normal, mask) and PNG files.
"""

import sys
from pathlib import Path

import cv2
import numpy as np

AZIMUTH_DEG, ELEVATION_DEG = 60, 50


def square(pixels: np.ndarray, value: int) -> np.ndarray:
    """Pad to a square of 1.2 times the width, the picture in its middle."""
    height, width = pixels.shape[:2]
    side = max(height, round(1.2 * width))
    rows, columns = side - height, side - width
    edges = (rows // 2, rows - rows // 2, columns // 2, columns - columns // 2)
    return cv2.copyMakeBorder(pixels, *edges, cv2.BORDER_CONSTANT, value=(value,) * 3)


def main(source: Path, out: Path) -> None:
    """Write the folder."""
    arrays = np.load(source)
    lines = ["face,normal,mask"]
    for name in sorted(key.removesuffix("_images") for key in arrays if key.endswith("_images")):
        folder = out / name / "lights"
        folder.mkdir(parents=True, exist_ok=True)
        normals = arrays[f"{name}_ref_normals"].astype(np.float32)
        mask = arrays[f"{name}_mask"] & (np.linalg.norm(normals, axis=2) > 0.5)
        colours = np.where(mask[..., None], np.rint((normals + 1) * 127.5), 255).astype(np.uint8)
        cv2.imwrite(str(folder / "normal.png"), square(colours[..., ::-1], 255))
        cv2.imwrite(str(folder / "mask.png"), square(mask.astype(np.uint8) * 255, 0))
        angles = np.abs(arrays[f"{name}_azimuth_elevation_deg"])
        for light in np.flatnonzero((angles <= (AZIMUTH_DEG, ELEVATION_DEG)).all(axis=1)):
            photo = cv2.cvtColor(arrays[f"{name}_images"][light], cv2.COLOR_GRAY2BGR)
            face = f"{name}/lights/light{light:02d}.png"
            cv2.imwrite(str(out / face), square(photo, 0))
            lines.append(f"{face},{name}/lights/normal.png,{name}/lights/mask.png")
    (out / "faces.csv").write_text("\n".join(lines) + "\n")
    print(f"{len(lines) - 1} photos: {out / 'faces.csv'}")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
