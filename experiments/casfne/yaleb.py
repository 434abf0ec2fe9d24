"""The people of Extended Yale B, as the scripts of this folder read them."""

from pathlib import Path

from hydra import compose, initialize_config_dir
from hydra.utils import instantiate

from facegeo.files.shipped import conf_dir
from facegeo.normals.light_mixtures import LightMixturesDataModule


def read(root: Path, reference: Path, **settings: float) -> LightMixturesDataModule:
    """Read ``data=yaleb``.

    Args:
        root: CroppedYale, or the folder that holds it.
        reference: Folder of yaleBNN.npz.
        settings: Other keys of conf/data/yaleb.yaml.
    """
    given = {"root": root, "reference": reference} | settings
    words = [f"data.{key}={value}" for key, value in given.items()]
    with initialize_config_dir(str(conf_dir()), version_base="1.3"):
        cfg = compose("eval", ["checkpoint=none", "data=yaleb", *words])
    data: LightMixturesDataModule = instantiate(cfg.data)
    data.prepare_data()
    return data
