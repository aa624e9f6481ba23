"""Search spaces by name.

A new space is a module with a frozen configuration, a function that maps it to a
`swajax.tangle.spaces.base.SearchSpace`, and one line in `SPACES`. The property tests
cover it as soon as they have a small configuration of it.
"""

from collections.abc import Callable
from typing import Any

from swajax.tangle.spaces.base import SearchSpace
from swajax.tangle.spaces.chars_gpt import CharsGptConfig, make_chars_gpt
from swajax.tangle.spaces.conv_macro import ConvMacroConfig, make_conv_macro
from swajax.tangle.spaces.digits_cell import DigitsCellConfig, make_digits_cell
from swajax.tangle.spaces.digits_macro import DigitsMacroConfig, make_digits_macro
from swajax.tangle.spaces.digits_vit import DigitsVitConfig, make_digits_vit
from swajax.tangle.spaces.mlp import MlpConfig, make_mlp

SPACES: dict[str, tuple[type, Callable[[Any], SearchSpace]]] = {
    "mlp": (MlpConfig, make_mlp),
    "digits-macro": (DigitsMacroConfig, make_digits_macro),
    "digits-vit": (DigitsVitConfig, make_digits_vit),
    "conv-macro": (ConvMacroConfig, make_conv_macro),
    "digits-cell": (DigitsCellConfig, make_digits_cell),
    "chars-gpt": (CharsGptConfig, make_chars_gpt),
}


def make_space(name: str, **options: Any) -> SearchSpace:
    """Return the space with the given name.

    Args:
      name: key of `SPACES`.
      **options: fields of its configuration.

    Raises:
      ValueError: the name is unknown or an option is invalid.

    Example:
      >>> make_space("mlp", num_inputs=3, widths=(2, 4)).choices[1].options
      (2, 4)
    """
    if name not in SPACES:
        raise ValueError(f"space must be one of {list(SPACES)}, got {name!r}")
    config_class, make = SPACES[name]
    try:
        config = config_class(**options)
    except TypeError as error:
        raise ValueError(f"space {name}: {error}") from error
    return make(config)
