"""Modules of `flow`: an encoder of moments, and the velocity of a draft.

Both treat inputs, outputs and neurons as sets: permuting them permutes the result. A
draft is a graph; its weights are edges, and what a node reads of its edges is their
mean and maximum.
"""

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from swajax.autoencoder.base import Embedding, Present
from swajax.autoencoder.flow.drafts import Draft
from swajax.autoencoder.flow.moments import Moments
from swajax.autoencoder.layers import normalise

NUM_FREQUENCIES = 4


class RowEncoder(nn.Module):
    """Map moments to tokens of inputs and outputs and one global vector."""

    embedding_size: int = 128
    token_size: int = 48
    width: int = 96
    pair_width: int = 32

    @nn.compact
    def __call__(self, moments: Moments) -> Embedding:
        """Encode one table."""
        pairs = nn.silu(nn.Dense(self.pair_width)(moments.pair))
        pairs += nn.Dense(self.pair_width)(moments.both[..., None])[:, :, None]
        pairs = nn.silu(nn.Dense(self.pair_width)(pairs))
        is_input, is_output = moments.is_input, moments.is_output
        tokens = nn.Dense(self.width)(moments.single)
        tokens += nn.Dense(self.width)(moments.inputs)[:, None]
        tokens += nn.Dense(self.width)(moments.facts)[None, None]
        for _ in range(3):
            told = nn.Dense(self.pair_width)(tokens)
            heard = pool(pairs * nn.sigmoid(told)[None], is_input, axis=1)
            of_inputs = pool(tokens, is_input, axis=0)
            of_outputs = pool(tokens, is_output, axis=1)
            hidden = nn.Dense(self.width)(normalise(tokens))
            hidden += nn.Dense(self.width)(heard)
            hidden += nn.Dense(self.width)(of_inputs)[None]
            hidden += nn.Dense(self.width)(of_outputs)[:, None]
            tokens += nn.Dense(self.width)(nn.silu(hidden))
        tokens = normalise(tokens)
        of_inputs = pool(tokens, is_output, axis=1)
        of_outputs = pool(tokens, is_input, axis=0)
        return Embedding(
            nn.Dense(self.embedding_size)(pool(of_outputs, is_output, axis=0)),
            nn.Dense(self.token_size)(of_inputs) * is_input[:, None],
            nn.Dense(self.token_size)(of_outputs) * is_output[:, None],
        )


class Velocity(nn.Module):
    """Velocity of a draft at a time of the flow, given an embedding and a size."""

    num_kinds: int
    width: int = 64
    edge_width: int = 32
    num_rounds: int = 3

    @nn.compact
    def __call__(
        self,
        draft: Draft,
        point: Embedding,
        time: Float[Array, ""],
        num_weights: Float[Array, ""],
        there: Present,
    ) -> Draft:
        """Return the velocity of each number of a draft."""
        depth = draft.neurons.shape[0]
        shared = nn.Dense(self.width)(
            jnp.concatenate([point.z, self._describe(time, num_weights, depth)])
        )
        shared = nn.Dense(self.width)(nn.silu(shared))
        layers = jax.nn.one_hot(jnp.arange(depth) + 3 - depth, 3)
        nodes = [nn.Dense(self.width)(point.inputs) + shared[None]]
        hidden = nn.Dense(self.width)(draft.neurons) + shared[None, None]
        nodes += list(hidden + nn.Dense(self.width)(layers)[:, None])
        outputs = nn.Dense(self.width)(point.outputs) + shared[None]
        nodes += [outputs + nn.Dense(self.width)(draft.outputs)]
        every = jnp.ones(draft.neurons.shape[1])
        present = [there.inputs, *[every] * depth, there.outputs]
        kinds = [0, *[1] * (depth - 1), 2]  # of edges
        embed = [nn.Dense(self.edge_width, name=f"edge_{kind}") for kind in range(3)]
        numbers = [draft.first, *draft.hidden, draft.readout]
        edges = [embed[k](own) for k, own in zip(kinds, numbers, strict=True)]
        # Scanned: unrolled rounds take several times as long to compile.
        rounds = nn.scan(
            Round,
            variable_axes={"params": 0},
            split_rngs={"params": True},
            in_axes=nn.broadcast,
            length=self.num_rounds,
        )(self.width, self.edge_width)
        (nodes, edges), _ = rounds((nodes, edges), present)
        heads = [nn.Dense(2, name=f"head_{kind}") for kind in range(3)]
        moved = [heads[k](own) for k, own in zip(kinds, edges, strict=True)]
        neurons = nn.Dense(2 + self.num_kinds)(normalise(jnp.stack(nodes[1:-1])))
        middle = jnp.stack(moved[1:-1]) if depth > 1 else draft.hidden
        outputs = nn.Dense(2)(normalise(nodes[-1]))
        return Draft(moved[0], middle, moved[-1], neurons, outputs)

    def _describe(
        self, time: Float[Array, ""], num_weights: Float[Array, ""], depth: int
    ) -> Float[Array, " F"]:
        phases = jnp.pi * time * 2.0 ** jnp.arange(NUM_FREQUENCIES)
        size = jnp.log(num_weights) - 2.5
        facts = jnp.stack([size, size**2, time, jnp.asarray(depth - 1.5)])
        return jnp.concatenate([jnp.sin(phases), jnp.cos(phases), facts])


class Round(nn.Module):
    """One round of messages: edges read their nodes, nodes their edges."""

    width: int
    edge_width: int

    @nn.compact
    def __call__(
        self,
        graph: tuple[list[Float[Array, "_ W"]], list[Float[Array, "_ _ E"]]],
        present: list[Float[Array, " _"]],
    ) -> tuple[tuple[list, list], None]:
        """Return new nodes and edges, both per layer, as a scan does."""
        nodes, edges = graph
        twice = 2 * self.edge_width
        source, target, own, out = (
            nn.Dense(w) for w in [twice] * 3 + [self.edge_width]
        )
        first, second = nn.Dense(self.width), nn.Dense(self.width)
        peers, below, above = (nn.Dense(self.width) for _ in range(3))
        seen = [normalise(node) for node in nodes]
        pairs = zip(seen, edges, seen[1:], strict=False)
        edges = [
            edge + out(nn.silu(own(edge) + source(a)[:, None] + target(b)[None]))
            for a, edge, b in pairs
        ]
        new = []
        for layer, (node, flags) in enumerate(zip(nodes, present, strict=True)):
            hidden = first(seen[layer]) + peers(pool(seen[layer], flags, axis=0))[None]
            if layer > 0:
                hidden += below(pool(edges[layer - 1], present[layer - 1], axis=0))
            if layer < len(edges):
                hidden += above(pool(edges[layer], present[layer + 1], axis=1))
            new.append(node + second(nn.silu(hidden)))
        return (new, edges), None


def pool(
    rows: Float[Array, "..."], weight: Float[Array, " S"], axis: int
) -> Float[Array, "..."]:
    """Return mean and maximum over those of weight 1 on an axis."""
    shape = [1] * rows.ndim
    shape[axis] = -1
    weight = weight.reshape(shape)
    mean = (rows * weight).sum(axis) / jnp.maximum(weight.sum(axis), 1)
    largest = jnp.where(weight > 0, rows, -10.0).max(axis)
    return jnp.concatenate([mean, largest], axis=-1)
