"""Training in the embedding space: gradient descent on z through frozen decoders.

arXiv:2410.08339, search (spec section 6). A candidate is one start with one decoder and
one sparsity weight. All of them, [D decoders, S sparsity weights, R starts], run in one
compiled program. All but `run` is pure and works under jit, vmap and scan in other
code, for example vmapped over data sets::

    space = make_space(autoencoder_config)
    starts = make_starts(
        key, params, config=config, autoencoder_config=autoencoder_config
    )
    result, state = run(starts, params, data, space=space, config=config)
"""

from swajax.latent_search.config import Data, DescentConfig, Point, make_optimizer
from swajax.latent_search.loop import DescentProgress, run
from swajax.latent_search.losses import (
    candidate_loss,
    hard_objective,
    loss_fn,
    make_hard_networks,
    penalty,
)
from swajax.latent_search.result import SearchResult, collect
from swajax.latent_search.spaces import Space, make_space, make_starts
from swajax.latent_search.state import DescentState, chunk, init, step, validate

__all__ = [
    "Data",
    "DescentConfig",
    "DescentProgress",
    "DescentState",
    "Point",
    "SearchResult",
    "Space",
    "candidate_loss",
    "chunk",
    "collect",
    "hard_objective",
    "init",
    "loss_fn",
    "make_hard_networks",
    "make_optimizer",
    "make_space",
    "make_starts",
    "penalty",
    "run",
    "step",
    "validate",
]
