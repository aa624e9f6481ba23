"""Planted networks searched for in the embedding space: what each decoder finds."""

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
    search: DescentConfig,
    num_points: tuple[int, int, int],
    num_each: int,
) -> dict[str, Any]:
    """The networks found from data of a teacher, for every decoder and sparsity weight.

    Each is the start that validation picks, hard-thresholded; its errors are those at
    the test points, which the search never sees.

    Args:
      params: of the autoencoder.
      key: consumed; of the points and of the starts.
      teacher: of the autoencoder's activation.
      autoencoder_config: of the autoencoder.
      search: how to search.
      num_points: to train, to validate and to test.
      num_each: values an axis of the surfaces.
    """
    activations = autoencoder_config.spec.activations
    data_key, start_key = jax.random.split(key)
    data, x_test, y_test = teachers.sample_data(
        data_key, teacher, activations=activations, num_points=num_points
    )
    starts = _make_starts(
        start_key, params, config=search, autoencoder_config=autoencoder_config
    )
    result, _ = latent_search.find_networks(
        starts,
        params,
        data,
        space=latent_search.make_space(autoencoder_config),
        config=search,
    )
    found = []
    for index in np.ndindex(result.objective.shape):
        network = jax.tree.map(lambda leaf, i=index: leaf[i], result.network)
        errors = describe.measure(network, x_test, y_test, activations)
        size = describe.describe(network, activations)
        drawn = describe.surface(network, activations, num_each)
        weight = {"sparsity_weight": search.sparsity_weights[index[1]]}
        found.append(size | weight | errors | {"surface": drawn})
    return {
        "activation": autoencoder_config.activation,
        "axis": describe.surface_axis(num_each),
        "teacher": describe.describe(teacher, activations)
        | {"surface": describe.surface(teacher, activations, num_each)},
        "networks": found,
    }


_make_starts = jax.jit(
    latent_search.make_starts, static_argnames=("config", "autoencoder_config")
)
