"""The registry of presets: batches, loss and validation of each preset."""

from collections.abc import Callable
from typing import NamedTuple

from swajax.pretrain import batches_by_depth, batches_tabular
from swajax.pretrain.validation_by_depth import validate_by_depth
from swajax.pretrain.validation_tabular import validate_tabular


class PretrainPreset(NamedTuple):
    """Functions that pretrain one preset of `swajax.autoencoder`.

    Defaults of the settings are in `swajax.pretrain.config.PRESET_DEFAULTS`.
    """

    sample_batch: Callable  # (key, num, *, config, sharding) to a batch
    batch_loss: Callable  # (params, batch, x, *, config) to (loss, metrics)
    validate: Callable  # (params, key, *, config, num_networks, num_geometry)
    is_scan_slow_on_cpu: bool = False


COMPACT = PretrainPreset(
    sample_batch=batches_by_depth.sample_groups,
    batch_loss=batches_by_depth.batch_loss,
    validate=validate_by_depth,
)
PRESETS: dict[str, PretrainPreset] = {
    "compact": COMPACT,
    # XLA's CPU compiler makes convolutions 4 times slower inside a scan.
    "paper": COMPACT._replace(is_scan_slow_on_cpu=True),
    "tabular": PretrainPreset(
        sample_batch=batches_tabular.sample_batch,
        batch_loss=batches_tabular.batch_loss,
        validate=validate_tabular,
    ),
}
