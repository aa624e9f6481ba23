"""Search spaces by name.

The next space is a module here with a frozen configuration and a function from it to a
`swajax.tangle.space.Space`, and a line in `SPACES`; `tests/test_tangle_spaces.py` then
holds it to the invariants, with a small configuration of its own.
"""

from collections.abc import Callable
from typing import Any

from swajax.tangle.space import Space
from swajax.tangle.spaces.digits_macro import DigitsMacroConfig, make_digits_macro
from swajax.tangle.spaces.mlp import MlpConfig, make_mlp

SPACES: dict[str, tuple[type, Callable[[Any], Space]]] = {
    "mlp": (MlpConfig, make_mlp),
    "digits-macro": (DigitsMacroConfig, make_digits_macro),
}


def make_space(name: str, **options: Any) -> Space:
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
