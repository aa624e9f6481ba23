"""Loss of `flow`: conditional flow matching (arXiv:2210.02747) on good ends."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from swajax.autoencoder import flow
from swajax.autoencoder.base import Present
from swajax.autoencoder.flow import FlowConfig
from swajax.autoencoder.flow.drafts import Draft, make_canonical, to_draft
from swajax.autoencoder.flow.moments import Moments
from swajax.autoencoder.flow.moments import flip as flip_moments
from swajax.network import make_dense
from swajax.pretrain.ends.shards import to_network
from swajax.pretrain.flow_data import Pairs
from swajax.types import Key, Network


def batch_loss(
    params: Any,
    key: Key,
    pairs: Pairs,
    *,
    num: int,
    depth: int,
    config: FlowConfig,
) -> Float[Array, ""]:
    """Return the mean loss of random pairs.

    Args:
      params: parameters of `flow`.
      key: consumed.
      pairs: ends of one depth.
      num: number of pairs.
      depth: of the ends.
      config: limits of the networks.
    """
    index_key, own_key = jax.random.split(key)
    index = jax.random.randint(index_key, (num,), 0, pairs.num)
    one = functools.partial(pair_loss, params, depth=depth, config=config)
    keys = jax.random.split(own_key, num)
    return jax.vmap(one, in_axes=(0, None, 0))(keys, pairs, index).mean()


def pair_loss(
    params: Any,
    key: Key,
    pairs: Pairs,
    index: Int[Array, ""],
    *,
    depth: int,
    config: FlowConfig,
) -> Float[Array, ""]:
    """Return the squared error of the velocity from noise to one end.

    Inputs and targets change their signs at random, table and network alike.
    """
    flip_key, time_key, noise_key = jax.random.split(key, 3)
    row = pairs.table[index]
    moments = jax.tree.map(lambda leaf: leaf[row], pairs.moments)
    num_inputs, num_outputs = moments.single.shape[:2]
    spec = config.make_spec(num_inputs, num_outputs)
    network = to_network(
        pairs.weights[index],
        pairs.kinds[index],
        depth,
        like=make_dense(spec),
        num_kinds=len(config.activations),
    )
    moments, network = flip(flip_key, moments, network, pairs.can_flip[row])
    network = make_canonical(network, activations=config.activations)
    end, noise = to_draft(network, depth=depth), flow.draw_noise(noise_key, spec, depth)
    end, noise = sort_neurons(end), sort_neurons(noise)
    time = jax.random.uniform(time_key)
    between = jax.tree.map(lambda a, b: (1 - time) * a + time * b, noise, end)
    moved = flow.velocity(
        params,
        between,
        flow.encode_moments(params, moments),
        time,
        pairs.num_weights[index].astype(jnp.float32),
        Present(moments.is_input, moments.is_output),
        config=config,
    )
    errors = jax.tree.map(lambda v, a, b: jnp.square(v - (b - a)), moved, noise, end)
    # Weights of inputs that do not exist are never active.
    first = errors.first * moments.is_input[:, None, None]
    num = sum(leaf.size for leaf in errors[1:])
    num += moments.is_input.sum() * first[0].size
    return (first.sum() + sum(leaf.sum() for leaf in errors[1:])) / num


def flip(
    key: Key, moments: Moments, network: Network, can_flip: Float[Array, ""]
) -> tuple[Moments, Network]:
    """Change the signs of random inputs and targets of a table and its network."""
    num_inputs, num_outputs = moments.single.shape[:2]
    draws = jax.random.bernoulli(key, shape=(num_inputs + num_outputs,))
    signs = jnp.where(draws, -1.0, 1.0)
    signs, output_signs = signs[:num_inputs], signs[num_inputs:]
    output_signs = jnp.where(can_flip > 0, output_signs, 1.0)
    network = network._replace(
        first=network.first * signs[:, None],
        readout=network.readout * output_signs[None],
        readout_bias=network.readout_bias * output_signs,
    )
    return flip_moments(moments, signs, output_signs), network


def sort_neurons(draft: Draft) -> Draft:
    """Sort the neurons of each layer by the mean of what leads out of them.

    Noise and ends that are sorted alike lie nearer to each other, and straighter flows
    need fewer steps.
    """
    outgoing = [*draft.hidden, draft.readout]
    orders = [jnp.argsort(-own.sum(-1).mean(axis=1)) for own in outgoing]
    hidden = [
        own[source][:, target]
        for own, source, target in zip(
            draft.hidden, orders[:-1], orders[1:], strict=True
        )
    ]
    return Draft(
        draft.first[:, orders[0]],
        jnp.stack(hidden) if hidden else draft.hidden,
        draft.readout[orders[-1]],
        jax.vmap(lambda rows, order: rows[order])(draft.neurons, jnp.stack(orders)),
        draft.outputs,
    )
