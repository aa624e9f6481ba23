"""Small configurations of the search spaces, one or more per space."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np

from swajax.tangle.choices import num_options
from swajax.tangle.spaces import make_space

SMALL = {
    "mlp": {
        "num_inputs": 2,
        "num_outputs": 2,
        "widths": (2, 3),
        "depths": (1, 2, 3),
        "activations": ("sigmoid", "tanh"),
    },
    "digits-macro": {
        "channels": ((1, 2), (2, 3), (2, 4)),
        "kernels": ((3,), (1, 3), (1, 3, 5)),
        "num_classes": 3,
    },
    "conv-macro": {
        "channels": ((1, 2), (2, 3)),
        "kernels": ((1, 3), (3, 5)),
        "pools": (2,),
        "image_channels": 1,
        "image_size": 4,
        "last_kernel": 3,
        "last_channels": 2,
        "widths": (3,),
        "num_classes": 3,
    },
    "digits-vit": {
        "embed": (2, 4),
        "depths": (1, 2),
        "heads": (1, 2),
        "ratios": (1, 2),
        "head_size": 3,
        "image_size": 4,
        "num_classes": 3,
    },
    "digits-cell": {
        "operations": ("sep3", "sep5", "dil3"),
        "layout": "reduce",
        "channels": 2,
        "stem": 2,
        "num_nodes": 2,
        "num_classes": 3,
    },
    "digits-cell, all else": {
        "operations": ("none", "skip", "avg3", "max3", "conv1", "conv3"),
        "layout": "residual-normal",
        "channels": 2,
        "stem": 2,
        "num_inputs": 2,
        "num_nodes": 1,
        "num_classes": 3,
    },
    "digits-cell, two before": {
        "operations": ("skip", "conv3"),
        "layout": "normal-reduce-normal",
        "channels": 2,
        "stem": 2,
        "num_inputs": 2,
        "num_nodes": 1,
        "num_classes": 3,
    },
    "digits-cell, last": {
        "operations": ("none", "conv1", "conv3"),
        "layout": "normal-residual-normal",
        "join": "last",
        "channels": 2,
        "stem": 2,
        "num_nodes": 2,
        "num_classes": 3,
    },
    "chars-gpt": {
        "embed": (2, 4),
        "depths": (1, 2),
        "heads": (1, 2),
        "ratios": (1, 2),
        "head_size": 3,
        "num_tokens": 5,
        "context": 4,
    },
}
NUM = 4
SHAPES = {
    "mlp": (NUM, 2),
    "digits-macro": (NUM, 4, 4, 1),
    "conv-macro": (NUM, 4, 4, 1),
    "digits-vit": (NUM, 4, 4, 1),
    "digits-cell": (NUM, 4, 4, 1),
    "digits-cell, all else": (NUM, 4, 4, 1),
    "digits-cell, two before": (NUM, 4, 4, 1),
    "digits-cell, last": (NUM, 4, 4, 1),
    "chars-gpt": (NUM, 3),
}
# Each small space in its default form; the paper's form of each space once.
CASES = [
    (name, masking)
    for name, masking in itertools.product(SMALL, ("input", "both"))
    if masking == "input" or "," not in name
]
TOLERANCE = {"rtol": 1e-4, "atol": 1e-5}


def form(name, masking):
    """Options of the paper's form; cells have no masked channels."""
    is_cell = "operations" in SMALL[name]
    return {"is_paper_form": masking == "both"} if is_cell else {"masking": masking}


def make_small(name, masking="input", **others):
    """The small space of a case; the text after a comma names a variant."""
    options = SMALL[name] | others | form(name, masking)
    return make_space(name.split(",")[0], **options)


def make_case(name, masking="input"):
    """Space, weights with biases, and inputs."""
    space = make_small(name, masking)
    params = jax.eval_shape(space.init, jax.random.key(0))
    rng = np.random.default_rng(0)
    params = jax.tree.map(
        lambda leaf: jnp.asarray(0.5 * rng.normal(size=leaf.shape), leaf.dtype), params
    )
    if name == "chars-gpt":
        return space, params, jnp.asarray(rng.integers(5, size=SHAPES[name]), jnp.uint8)
    return space, params, jnp.asarray(rng.normal(size=SHAPES[name]), jnp.float32)


def draw_probabilities(space, seed=0):
    rng = np.random.default_rng(seed)
    return {
        c.name: jnp.asarray(
            rng.dirichlet(np.ones(len(c.options)), c.num_rows), jnp.float32
        )
        for c in space.choices
    }


def all_genes(space):
    return np.array(list(itertools.product(*map(range, num_options(space.choices)))))
