"""Search spaces by name.

The next space is a module here with a frozen configuration and a function from it to a
`swajax.tangle.spaces.base.SearchSpace`, and a line in `SPACES`; the tests then hold
it to the invariants, with a small configuration of its own. Configurations at the
paper's dimensions are in `figures.tangle.full_size`.
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
    """The space of a name; options are the fields of its configuration.

    Raises:
      ValueError: unknown name, or an option that is wrong.
    """
    if name not in SPACES:
        raise ValueError(f"space must be one of {list(SPACES)}, got {name!r}")
    config_class, make = SPACES[name]
    try:
        config = config_class(**options)
    except TypeError as error:
        raise ValueError(f"space {name}: {error}") from error
    return make(config)
