"""The autoencoders that come with the package, and those in a user's own files."""

import importlib.resources
from pathlib import Path

import jax

from swajax import autoencoder
from swajax.autoencoder import AutoencoderConfig, Params
from swajax.io import checkpoints, configs

SHIPPED = importlib.resources.files("swajax") / "pretrained"


def load_pretrained(
    preset: str | Path, activation: str | None = None
) -> tuple[Params, AutoencoderConfig]:
    """Parameters and configuration of a pretrained autoencoder.

    Args:
      preset: name of a preset, or the path of a checkpoint file of parameters whose
        header holds the configuration under "autoencoder".
      activation: of the embedded networks; a file must agree if it is given.

    Raises:
      FileNotFoundError: there is no such file.
      ValueError: nothing of this kind is shipped (the message lists what is), or the
        file is not sound.
    """
    path = Path(preset) if _is_path(preset) else _shipped_path(preset, activation)
    arrays, header = checkpoints.load(path)
    if not isinstance(header.get("autoencoder"), dict):
        raise ValueError(f"{path}: a checkpoint, but not of an autoencoder")
    try:
        config = configs.from_dict(AutoencoderConfig, header["autoencoder"])
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
    if activation not in (None, config.activation):
        raise ValueError(
            f"{path} is an autoencoder of {config.activation} networks, "
            f"not of {activation}"
        )
    like = jax.eval_shape(lambda: autoencoder.init(jax.random.key(0), config=config))
    return checkpoints.from_arrays(arrays, like, source=str(path)), config


def list_pretrained() -> list[tuple[str, str]]:
    """Preset and activation of each autoencoder that is shipped, sorted."""
    if not SHIPPED.is_dir():
        return []
    names = (Path(entry.name) for entry in SHIPPED.iterdir())
    stems = sorted(name.stem for name in names if name.suffix == ".safetensors")
    return [(stem.split("_")[0], stem.partition("_")[2]) for stem in stems]


def _is_path(preset: str | Path) -> bool:
    return isinstance(preset, Path) or "/" in preset or preset.endswith(".safetensors")


def _shipped_path(preset: str, activation: str | None) -> Path:
    shipped = list_pretrained()
    found = [
        own for own in shipped if own[0] == preset and activation in (None, own[1])
    ]
    if len(found) != 1:
        listed = ", ".join(f"{p} {a}" for p, a in shipped) or "none"
        wanted = preset if activation is None else f"{preset} {activation}"
        problem = "no" if not found else f"{len(found)} activations of the"
        raise ValueError(
            f"{problem} pretrained autoencoder '{wanted}'; shipped: {listed}. "
            "A path to a checkpoint file is taken as well."
        )
    return Path(str(SHIPPED / "{}_{}.safetensors".format(*found[0])))
