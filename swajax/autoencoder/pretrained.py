"""Pretrained autoencoders: those shipped with the package and those in files."""

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
    """Load parameters and configuration of a pretrained autoencoder.

    Args:
      preset: name of a preset, or path of a checkpoint file of parameters whose header
        contains the configuration under "autoencoder".
      activation: activation of the embedded networks; optional if only one autoencoder
        of the preset is shipped. A file for another activation is rejected.

    Raises:
      FileNotFoundError: there is no such file.
      ValueError: no such autoencoder is shipped (the message lists those that are), or
        the file is damaged or of another kind.

    Example:
      >>> params, config = load_pretrained("compact", "sigmoid")
      >>> config.num_inputs, config.max_depth
      (3, 4)
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
            f"not of {activation} networks"
        )
    like = jax.eval_shape(lambda: autoencoder.init(jax.random.key(0), config=config))
    return checkpoints.from_arrays(arrays, like, source=str(path)), config


def list_pretrained() -> list[tuple[str, str]]:
    """Return preset and activation of each shipped autoencoder, sorted.

    Example:
      >>> ("compact", "sigmoid") in list_pretrained()
      True
    """
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
        pair for pair in shipped if pair[0] == preset and activation in (None, pair[1])
    ]
    if len(found) != 1:
        listed = ", ".join(f"{p} {a}" for p, a in shipped) or "none"
        wanted = preset if activation is None else f"{preset} {activation}"
        problem = "no" if not found else f"{len(found)} activations of the"
        raise ValueError(
            f"{problem} pretrained autoencoder '{wanted}'; shipped: {listed}. "
            "The path of a checkpoint file is accepted as well."
        )
    return Path(str(SHIPPED / "{}_{}.safetensors".format(*found[0])))
