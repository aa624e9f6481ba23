"""The registry of presets."""

from swajax.autoencoder import compact, paper, tabular
from swajax.autoencoder.base import Preset

PRESETS: dict[str, Preset] = {
    "compact": compact.PRESET,
    "paper": paper.PRESET,
    "tabular": tabular.PRESET,
}
