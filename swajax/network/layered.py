"""Networks of any width and depth as lists of matrices: what others have trained.

The padded record `swajax.types.Network` makes batches of tiny networks; a large network
is one matrix per layer, of the shapes it has.
"""

import dataclasses
import functools
import itertools
from collections.abc import Sequence
from typing import Any, Literal, get_args

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from numpy.typing import ArrayLike

from swajax.io.memory import check_memory
from swajax.network.activations import RECORDS
from swajax.network.layers import check_layers, to_layers
from swajax.types import Network

Link = Literal["linear", "sigmoid", "softmax"]
LINKS: tuple[str, ...] = get_args(Link)
NUM_COPIES = 4  # of the weights, that work on a network holds at once

_SKLEARN_ACTIVATIONS = {
    "identity": "linear",
    "logistic": "sigmoid",
    "tanh": "tanh",
    "relu": "relu",
}
_SKLEARN_LINKS = {"identity": "linear", "logistic": "sigmoid", "softmax": "softmax"}


@functools.partial(
    jax.tree_util.register_dataclass,
    data_fields=["weights", "biases"],
    meta_fields=["activations", "link"],
)
@dataclasses.dataclass(frozen=True)
class LayeredNetwork:
    """A multilayer perceptron of D hidden layers of any widths; a pytree.

    `make_layered`, `from_sklearn` and `from_onnx` check what they make.
    """

    # Any: JAX also rebuilds a network with what describes an array.
    weights: Any
    """D + 1 matrices [fan_in, fan_out]; the last one is the readout"""
    biases: Any
    """D + 1 vectors [fan_out]"""
    activations: tuple[str | tuple[str, ...], ...]
    """per hidden layer: one name, or one name per neuron where they differ"""
    link: Link = "linear"
    """function from the outputs to what the network was trained to predict"""

    def apply(self, x: Float[Any, "N I"]) -> Float[Array, "N O"]:
        """Compute the outputs for N points, before the link: numbers or logits."""
        *hidden, (readout, bias) = zip(self.weights, self.biases, strict=True)
        x = jnp.asarray(x)
        for (matrix, vector), names in zip(hidden, self.activations, strict=True):
            x = activate(x @ matrix + vector[None], names)
        return x @ readout + bias[None]

    @property
    def num_inputs(self) -> int:
        """Number of inputs."""
        return self.weights[0].shape[0]

    @property
    def num_outputs(self) -> int:
        """Number of outputs."""
        return self.weights[-1].shape[1]

    @property
    def kinds(self) -> tuple[str, ...]:
        """Names of the activations of all neurons, each once."""
        entries = ((e,) if isinstance(e, str) else e for e in self.activations)
        return tuple(dict.fromkeys(itertools.chain(*entries)))

    def count_weights(self) -> int:
        """Return the number of non-zero weights and biases."""
        return int(sum(map(np.count_nonzero, (*self.weights, *self.biases))))


def activate(
    pre: Float[Any, "N J"], names: str | tuple[str, ...]
) -> Float[Array, "N J"]:
    """Apply the activation of a layer, or one of each neuron."""
    if isinstance(names, str):
        return RECORDS[names].fn(pre)
    out = pre
    for name in set(names) - {"linear"}:
        is_own = np.array([own == name for own in names])[None]
        out = jnp.where(is_own, RECORDS[name].fn(pre), out)
    return out


def make_layered(
    weights: Sequence[ArrayLike],
    biases: Sequence[ArrayLike],
    activations: Sequence[str | Sequence[str]],
    link: str = "linear",
) -> LayeredNetwork:
    """Check matrices, vectors and names, and make a network of them, in float32.

    Args:
      weights: one matrix [fan_in, fan_out] per hidden layer, and the readout.
      biases: one vector [fan_out] per matrix.
      activations: one name per hidden layer, or one name per neuron of the layer.
      link: function of the outputs.

    Raises:
      ValueError: as in `from_layers`; or the network is larger than memory.

    Example:
      >>> weights, biases = [[[1.0, -1.0]], [[2.0], [3.0]]], [[0, 0], [1]]
      >>> network = make_layered(weights, biases, ["relu"])
      >>> network.apply(np.array([[2.0]])).tolist(), network.count_weights()
      ([[5.0]], 5)
    """
    num_weights = sum(int(np.prod(np.shape(one))) for one in (*weights, *biases))
    check_memory(4 * NUM_COPIES * num_weights, f"a network of {num_weights:,} weights")
    if link not in LINKS:
        raise ValueError(f"link must be one of {', '.join(LINKS)}, got {link!r}")
    if not len(activations):  # a linear model
        weights = [*weights, np.eye(np.shape(weights[-1])[-1])]
        biases, activations = [*biases, np.zeros(len(weights[-1]))], ["linear"]
    matrices, vectors, names = check_layers(weights, biases, activations)
    entries = (own[0] if len(set(own)) == 1 else own for own in names)
    return LayeredNetwork(tuple(matrices), tuple(vectors), tuple(entries), link)


def from_network(network: Network, activations: tuple[str, ...]) -> LayeredNetwork:
    """Return one padded network as matrices without padding."""
    return make_layered(*to_layers(network, activations=activations))


def from_sklearn(model: Any) -> LayeredNetwork:
    """Return the network of a fitted `MLPRegressor` or `MLPClassifier`.

    It reads what the model reads: a scaler before it is not part of it.

    Raises:
      ValueError: the model is another one, not fitted, or predicts several labels.

    Example:
      >>> from sklearn.neural_network import MLPRegressor
      >>> x = np.zeros((20, 1))
      >>> model = MLPRegressor(hidden_layer_sizes=(4, 4), tol=1.0).fit(x, x[:, 0])
      >>> from_sklearn(model).activations
      ('relu', 'relu')
    """
    kind = type(model).__name__
    if not {"MLPRegressor", "MLPClassifier"} & {c.__name__ for c in type(model).mro()}:
        raise ValueError(f"model must be an MLPRegressor or MLPClassifier, got {kind}")
    if not hasattr(model, "coefs_"):
        raise ValueError(f"the {kind} is not fitted")
    link = _SKLEARN_LINKS.get(model.out_activation_)
    if link is None or (link == "sigmoid" and model.n_outputs_ > 1):
        raise ValueError(
            f"the {kind} has {model.n_outputs_} outputs of {model.out_activation_!r}: "
            "only numbers and classes of one target are supported"
        )
    name = _SKLEARN_ACTIVATIONS[model.activation]
    names = [name] * (len(model.coefs_) - 1)
    return make_layered(model.coefs_, model.intercepts_, names, link)
