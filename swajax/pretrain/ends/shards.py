"""Shards: tables and the best ends of each size, compact, in safetensors files."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Bool, Float, Int, UInt8

from swajax.io import checkpoints
from swajax.network import pack, unpack
from swajax.pretrain.ends.walk import SIZES, Ends
from swajax.prior.tables import RandomTable, TableShape
from swajax.types import Network, NetworkSpec

NUM_EACH = 3  # ends kept of each table and size
ABSENT = 255  # kind of an absent neuron
NAME = "shard-{:05d}.safetensors"


class Shard(NamedTuple):
    """T tables with up to M ends each; ends that do not exist have 0 weights."""

    x: Float[np.ndarray, "T N I"]
    y: Float[np.ndarray, "T N O"]
    num_rows: Int[np.ndarray, " T"]
    is_input: UInt8[np.ndarray, "T I"]
    weights: Float[np.ndarray, "T M P"]  # of `swajax.network.pack`
    kinds: UInt8[np.ndarray, "T M L H"]  # index of the activation; ABSENT: no neuron
    depth: UInt8[np.ndarray, "T M"]
    num_weights: UInt8[np.ndarray, "T M"]
    loss: Float[np.ndarray, "T M"]
    true_loss: Float[np.ndarray, "T M"]


def make_shard(table: RandomTable, stages: Sequence[Ends]) -> Shard:
    """Select the ends of a block of tables.

    Args:
      table: the tables, leaves [T, ...].
      stages: ends of each stage of the walk, leaves [T, R, ...].
    """
    ends = jax.tree.map(lambda *leaves: np.stack(leaves, axis=1), *stages)
    table = jax.tree.map(np.asarray, table)
    is_last = find_last(ends.num_weights)
    flat = jax.tree.map(lambda leaf: leaf.reshape(len(leaf), -1, *leaf.shape[3:]), ends)
    score = np.where(is_last.reshape(len(is_last), -1), flat.true_loss, np.inf)
    chosen, is_chosen = select(score, flat.num_weights)
    best = jax.tree.map(
        lambda leaf: np.take_along_axis(
            leaf, chosen.reshape(*chosen.shape, *[1] * (leaf.ndim - 2)), axis=1
        ),
        flat,
    )
    network = best.network
    kinds = np.where(network.mask > 0, network.activation.argmax(-1), ABSENT)
    weights = np.float16(np.asarray(_pack(network)) * is_chosen[..., None])
    return Shard(
        table.problem.x.astype(np.float16),
        table.problem.y.astype(np.float16),
        (table.problem.weight > 0).sum(axis=1).astype(np.int32),
        table.is_input.astype(np.uint8),
        weights,
        kinds.astype(np.uint8),
        network.depth.astype(np.uint8),
        np.count_nonzero(weights, axis=-1).astype(np.uint8),  # tiny ones became 0
        best.loss.astype(np.float32),
        best.true_loss.astype(np.float32),
    )


def find_last(num_weights: Int[np.ndarray, "T S R"]) -> Bool[np.ndarray, "T S R"]:
    """Flag the last stage at which each network has its size."""
    after = np.concatenate(
        [num_weights[:, 1:], np.zeros_like(num_weights[:, :1])], axis=1
    )
    return num_weights > after


def select(
    score: Float[np.ndarray, "T K"], num_weights: Int[np.ndarray, "T K"]
) -> tuple[Int[np.ndarray, "T M"], Bool[np.ndarray, "T M"]]:
    """Return the indices of the lowest scores of each size class, and which exist.

    Example:
      >>> score = np.array([[2.0, 1.0, np.inf]])
      >>> chosen, is_chosen = select(score, np.array([[3, 3, 64]]))
      >>> chosen[0, -NUM_EACH:][is_chosen[0, -NUM_EACH:]].tolist(), int(is_chosen.sum())
      ([1, 0], 2)
    """
    parts = []
    for largest, below in zip(SIZES, (*SIZES[1:], 0), strict=True):
        is_here = (num_weights > below) & (num_weights <= largest)
        own = np.where(is_here & np.isfinite(score), score, np.inf)
        index = np.argsort(own, axis=1, kind="stable")[:, :NUM_EACH]
        parts.append((index, np.isfinite(np.take_along_axis(own, index, axis=1))))
    chosen, is_chosen = (
        np.concatenate(part, axis=1) for part in zip(*parts, strict=True)
    )
    return chosen, is_chosen


def save_shard(
    folder: Path, index: int, shard: Shard, shape: TableShape, spec: NetworkSpec
) -> None:
    """Write a shard atomically."""
    header = {"shape": shape._asdict(), "activations": spec.activations}
    checkpoints.save(folder / NAME.format(index), shard, header=header)


def load_shard(path: Path) -> tuple[Shard, TableShape]:
    """Read a shard.

    Raises:
      ValueError: the file is damaged or no shard.
    """
    arrays, header = checkpoints.load(path)
    try:
        return Shard(**arrays), TableShape(**header["shape"])
    except (KeyError, TypeError) as error:
        raise ValueError(f"{path}: a checkpoint, but no shard of ends") from error


def list_shards(folder: Path) -> list[Path]:
    """Return the paths of all shards of a folder, in their order."""
    return sorted(folder.glob("shard-*.safetensors"))


def to_network(
    weights: Any, kinds: Any, depth: Any, *, like: Network, num_kinds: int
) -> Network:
    """Rebuild one network of a shard; `like` gives the shapes."""
    activation = jax.nn.one_hot(kinds, num_kinds)
    activation = activation.at[..., 0].add(kinds == ABSENT)
    family = like._replace(
        mask=(kinds != ABSENT).astype(activation.dtype),
        activation=activation,
        depth=jax.numpy.asarray(depth, jax.numpy.int32),
    )
    return unpack(jax.numpy.asarray(weights, activation.dtype), family)


_pack = jax.jit(jax.vmap(jax.vmap(pack)))
