"""Trained parameters of `flow`: those shipped with the package, or in a file."""

from pathlib import Path

import jax

from swajax.autoencoder.base import Params
from swajax.autoencoder.flow import FlowConfig, init
from swajax.autoencoder.pretrained import SHIPPED
from swajax.io import checkpoints, configs

SHIPPED_FILE = Path(str(SHIPPED)) / "flow" / "flow_mixed.safetensors"


def load_flow(path: Path | str | None = None) -> tuple[Params, FlowConfig]:
    """Load parameters and configuration.

    Args:
      path: file of `python -m swajax.pretrain flow`; by default the shipped one.

    Raises:
      FileNotFoundError: there is no such file.
      ValueError: the file is damaged or of another kind.
    """
    path = SHIPPED_FILE if path is None else Path(path)
    if path == SHIPPED_FILE and not path.is_file():
        raise FileNotFoundError(
            "the space flow is not shipped yet: train it by python -m swajax.pretrain "
            "ends and flow, and name its file (search: --learned.file)"
        )
    arrays, header = checkpoints.load(path)
    if not isinstance(header.get("flow"), dict):
        raise ValueError(f"{path}: a checkpoint, but not of the space flow")
    try:
        config = configs.from_dict(FlowConfig, header["flow"])
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
    like = jax.eval_shape(lambda: init(jax.random.key(0), config=config))
    return checkpoints.from_arrays(arrays, like, source=str(path)), config
