"""Light adds up: what mixtures of photographs rest on, in the renderer."""

import numpy as np

from facegeo.rendering.boxes import frame_face
from facegeo.rendering.look import draw_hair, draw_look
from facegeo.rendering.sample import Studio
from facegeo.rendering.scene import Lights, rotation_matrix
from facegeo.rendering.session import flash


def test_two_pictures_under_one_lamp_add_up_to_one_under_both(studio: Studio) -> None:
    rng = np.random.default_rng(5)
    hair = draw_hair(rng)
    head, look = studio.model.sample(rng, {}), draw_look(rng, hair)
    camera = frame_face(head, studio.builder.surface, rotation_matrix(5, 0, 0), 150.0, 96)
    studio.renderer.load(studio.builder.build(head, hair))
    left, right = flash(40, 170), flash(35, 20)
    both = Lights(
        towards=np.concatenate([left.towards, right.towards]),
        colours=np.concatenate([left.colours, right.colours]),
        softness=np.concatenate([left.softness, right.softness]),
        sky=left.sky + right.sky,
        ground=left.ground + right.ground,
    )
    one, other, wanted = (
        studio.renderer.render(camera, lights, look, (96, 96)).colour
        for lights in (left, right, both)
    )
    bright = float(np.quantile(wanted, 0.99))
    off = np.abs(one + other - wanted) / bright
    # Edges are smoothed where the picture at hand has some, so pixels at a shadow's edge differ.
    assert float(np.median(off[wanted > 0.05 * bright])) < 1e-3
    assert float(off.mean()) < 0.005
    assert float(np.abs(one - other).mean() / bright) > 0.05  # the lamps are not alike
