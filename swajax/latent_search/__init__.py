"""Search in an embedding space: gradient descent on z through frozen decoders.

This is the search of arXiv:2410.08339. A candidate is one start with one decoder and
one sparsity weight. All candidates, [D decoders, S sparsity weights, R starts], run in
one compiled program. `descend` is the loop on the host and `find_networks` collects its
best networks. `init`, `step`, `chunk`, `validate` and `collect` are pure and work under
`jit`, `vmap` and `scan`, for example vmapped over data sets::

    space = make_space(autoencoder_config)
    starts = make_starts(
        key, params, config=config, autoencoder_config=autoencoder_config
    )
    result, state = find_networks(starts, params, data, space=space, config=config)

The README of `swajax.autoencoder` has the complete example.
"""

from swajax.latent_search.config import (
    Data,
    DescentConfig,
    Point,
    decay_factor,
    make_optimizer,
)
from swajax.latent_search.loop import (
    DescentProgress,
    NetworksFn,
    descend,
    find_networks,
)
from swajax.latent_search.losses import (
    candidate_loss,
    hard_objective,
    loss_fn,
    make_hard_networks,
    penalty,
)
from swajax.latent_search.result import DescentResult, collect, harden
from swajax.latent_search.spaces import (
    DescentProblem,
    Space,
    TabularPoint,
    check_table,
    make_space,
)
from swajax.latent_search.starts import draw_starts, make_starts
from swajax.latent_search.state import DescentState, chunk, init, step, validate

__all__ = [
    "Data",
    "DescentConfig",
    "DescentProblem",
    "DescentProgress",
    "DescentResult",
    "DescentState",
    "NetworksFn",
    "Point",
    "Space",
    "TabularPoint",
    "candidate_loss",
    "check_table",
    "chunk",
    "collect",
    "decay_factor",
    "descend",
    "draw_starts",
    "find_networks",
    "hard_objective",
    "harden",
    "init",
    "loss_fn",
    "make_hard_networks",
    "make_optimizer",
    "make_space",
    "make_starts",
    "penalty",
    "step",
    "validate",
]
