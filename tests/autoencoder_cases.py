"""Tiny autoencoders of every preset, shared by tests so that each is compiled once."""

import functools

import jax

from swajax import autoencoder, prior
from swajax.autoencoder import AutoencoderConfig
from swajax.autoencoder.presets import PRESETS

TINY = {
    preset: AutoencoderConfig(
        preset=preset,
        num_inputs=3,
        num_outputs=2 if record.is_any_table else 1,
        max_depth=2,
        max_width=4,
        num_probes=4,
    )
    for preset, record in PRESETS.items()
}


@functools.cache
def make_params(preset):
    init = jax.jit(functools.partial(autoencoder.init, config=TINY[preset]))
    return init(jax.random.key(0))


@functools.cache
def sample_networks(preset, num=3):
    """Networks that the preset can embed, of both depths."""
    spec = TINY[preset].spec
    if TINY[preset].is_any_table:
        return prior.sample_starts(
            jax.random.key(1), num=num, spec=spec, max_weights=20
        )
    sample = functools.partial(prior.sample_batch, num=num, spec=spec)
    return jax.jit(sample)(jax.random.key(1))


def take(tree, index):
    return jax.tree.map(lambda leaf: leaf[index], tree)
