"""Search for teachers in the embedding space with every decoder."""

from typing import Any

import jax
import numpy as np

from figures.common import teachers
from figures.paper import describe
from swajax import latent_search
from swajax.autoencoder import AutoencoderConfig
from swajax.latent_search import DescentConfig
from swajax.types import Key, Network


def recover(
    params: Any,
    key: Key,
    teacher: Network,
    *,
    autoencoder_config: AutoencoderConfig,
    descent: DescentConfig,
    num_points: tuple[int, int, int],
    num_each: int,
) -> dict[str, Any]:
    """Search networks for the data of a teacher.

    For each decoder and sparsity weight the best start by validation is evaluated, with
    hard thresholds, at test points that the search never sees.

    Args:
      params: of the autoencoder.
      key: consumed; for points and starts.
      teacher: network with the activation of the autoencoder.
      autoencoder_config: of the autoencoder.
      descent: settings of the gradient descent.
      num_points: numbers of training, validation and test points.
      num_each: number of values per axis of the surfaces.

    Returns:
      Sizes, errors and surfaces of the teacher and of the networks found.
    """
    activations = autoencoder_config.spec.activations
    data_key, start_key = jax.random.split(key)
    data, x_test, y_test = teachers.sample_data(
        data_key, teacher, activations=activations, num_points=num_points
    )
    starts = _make_starts(
        start_key, params, config=descent, autoencoder_config=autoencoder_config
    )
    result, _ = latent_search.find_networks(
        starts,
        params,
        data,
        space=latent_search.make_space(autoencoder_config),
        config=descent,
    )
    found = []
    for index in np.ndindex(result.objective.shape):
        network = jax.tree.map(lambda leaf, i=index: leaf[i], result.network)
        errors = describe.measure_errors(network, x_test, y_test, activations)
        size = describe.count_sizes(network, activations)
        drawn = describe.surface(network, activations, num_each)
        weight = {"sparsity_weight": descent.sparsity_weights[index[1]]}
        found.append(size | weight | errors | {"surface": drawn})
    return {
        "activation": autoencoder_config.activation,
        "axis": describe.surface_axis(num_each),
        "teacher": describe.count_sizes(teacher, activations)
        | {"surface": describe.surface(teacher, activations, num_each)},
        "networks": found,
    }


_make_starts = jax.jit(
    latent_search.make_starts, static_argnames=("config", "autoencoder_config")
)
