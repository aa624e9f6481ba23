"""Optimal brain surgeon by blocks: remove many weights and neurons of a large network.

The Gauss-Newton matrix of thousands of weights does not fit into memory, but its blocks
do, one per neuron, of the weights into it: B_j = sum_n q_nj a_n a_n' with the inputs a
of the layer and the curvature q_nj of row n. Within a block, removal has the costs and
the corrections of `swajax.refine.pruning`. A neuron leaves with the weights that read
it; each of them is in another block, so that their costs add up.
"""

import math
from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float

from swajax.refine.gauss_newton import Trace
from swajax.refine.matrices import Stack

MAX_ROWS = 1024  # rows that the blocks are sums of
RIDGE = 1e-3  # added to a block, relative to its largest diagonal entry
Blocks = list[Float[np.ndarray, "_ _ _"]]
Kept = Sequence[Bool[np.ndarray, "_ _"]]


def find_blocks(trace: Trace) -> Blocks:
    """Return the block of each neuron and output, of the weights into it.

    More than `MAX_ROWS` rows are sampled evenly.
    """
    step = math.ceil(len(trace.inputs[0]) / MAX_ROWS)
    return [
        np.stack(
            [
                (x[::step] * row[:, None]).T @ x[::step]
                for row in step * curvature[::step].T
            ]
        )
        for x, curvature in zip(*trace, strict=True)
    ]


def find_costs(
    matrices: Sequence[np.ndarray], blocks: Blocks
) -> list[Float[np.ndarray, "_ _"]]:
    """Return the cost w^2 / (2 [B^-1]_qq) of each weight; 0 for absent ones."""
    costs = []
    for matrix, block in zip(matrices, blocks, strict=True):
        inverse = np.linalg.inv(_restrict(block, matrix != 0))
        diagonal = np.diagonal(inverse, axis1=1, axis2=2).T
        costs.append(np.square(matrix) / (2 * diagonal))
    return costs


def remove(
    matrices: Sequence[np.ndarray], blocks: Blocks, kept: Kept
) -> tuple[np.ndarray, ...]:
    """Remove the other weights, and correct those that are kept in closed form."""
    corrected = []
    for matrix, block, own in zip(matrices, blocks, kept, strict=True):
        removed = np.where(own, 0.0, matrix).T[..., None]
        force = np.where(own.T[..., None], block @ removed, 0.0)
        change = np.linalg.solve(_restrict(block, own), force)[..., 0].T
        corrected.append(np.float32(np.where(own, matrix + change, 0.0)))
    return tuple(corrected)


def narrow(stack: Stack, trace: Trace, width: int) -> Stack:
    """Cut the inputs of all layers down to a width, or to a quarter if that is more.

    One block per layer, the mean over its neurons, tells which neurons and inputs
    leave, and corrects the others.
    """
    matrices, rows = [], []
    for matrix, x, curvature in zip(stack.matrices, *trace, strict=True):
        share = curvature.mean(axis=0) / max(curvature.mean(), 1e-30)
        block = (x * curvature.mean(axis=1)[:, None]).T @ x
        block += (RIDGE * np.diagonal(block).max() + 1e-12) * np.eye(len(block))
        cost = np.square(matrix) @ share / np.diagonal(np.linalg.inv(block))
        num = min(len(cost) - 1, max(width, len(cost) // 4))
        kept = np.sort(np.append(0, 1 + np.argsort(-cost[1:], kind="stable")[:num]))
        gone = np.setdiff1d(np.arange(len(cost)), kept)
        force = block[np.ix_(kept, gone)] @ matrix[gone]
        matrices.append(
            matrix[kept] + np.linalg.solve(block[np.ix_(kept, kept)], force)
        )
        rows.append(kept[1:] - 1)
    columns = [*rows[1:], np.arange(matrices[-1].shape[1])]
    pairs = zip(matrices, columns, strict=True)
    layers = zip(stack.names, rows[1:], strict=True)
    return Stack(
        tuple(np.float32(matrix[:, own]) for matrix, own in pairs),
        tuple(tuple(layer[place] for place in own) for layer, own in layers),
        stack.inputs[rows[0]],
    )


def _restrict(
    block: Float[np.ndarray, "J K K"], kept: Bool[np.ndarray, "K J"]
) -> Float[np.ndarray, "J K K"]:
    """Return blocks with a ridge, and the identity where weights are absent."""
    ridge = RIDGE * np.diagonal(block, axis1=1, axis2=2).max(axis=1) + 1e-12
    pairs = kept.T[:, :, None] & kept.T[:, None]
    diagonal = np.where(kept.T, ridge[:, None], 1.0)[..., None]
    return np.where(pairs, block, 0.0) + diagonal * np.eye(len(kept))


def choose(
    matrices: Sequence[np.ndarray],
    costs: Sequence[np.ndarray],
    num_weights: int,
    widths: Sequence[int],
) -> tuple[Bool[np.ndarray, "_ _"], ...]:
    """Choose the weights to keep, by their costs.

    Neurons leave first: of each layer the cheapest above its width, and those that cost
    less per weight than the weights that would have to leave instead.

    Args:
      matrices: the network.
      costs: from `find_costs`.
      num_weights: largest number of weights to keep.
      widths: largest number of neurons of each hidden layer.
    """
    kept = [matrix != 0 for matrix in matrices]
    for before, after, cost, width in zip(
        kept, kept[1:], costs[1:], widths, strict=False
    ):
        num = before.sum(axis=0) + after[1:].sum(axis=1)
        own = np.where(after, cost, 0)[1:].sum(axis=1) / np.maximum(num, 1)
        order = np.argsort(np.where(num > 0, own, np.inf))
        surplus = max(0, np.count_nonzero(num) - width)
        spare = sum(map(np.sum, kept)) - num_weights
        is_cheap = own[order] < _threshold(costs, kept, num_weights)
        is_cheap &= (num[order].cumsum() <= spare) & (num[order] > 0)
        gone = order[: max(surplus, min(is_cheap.sum(), np.count_nonzero(num) - 1))]
        before[:, gone] = after[1 + gone] = False
    limit = _threshold(costs, kept, num_weights)
    return tuple(own & (cost >= limit) for own, cost in zip(kept, costs, strict=True))


def _threshold(
    costs: Sequence[np.ndarray], kept: Sequence[np.ndarray], num_weights: int
) -> float:
    """Return the cost below which weights must leave."""
    pairs = zip(costs, kept, strict=True)
    every = np.sort(np.concatenate([cost[own] for cost, own in pairs]))
    return every[-num_weights] if len(every) > num_weights else -np.inf
