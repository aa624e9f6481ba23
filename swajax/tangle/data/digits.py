"""Handwritten digits of scikit-learn, split for architecture search."""

import numpy as np

from swajax.tangle.data.examples import Rows, Split

NUM_EACH = 300  # number of images for weights, and for architectures


def load_digits(seed: int) -> Split:
    """Load 1797 images of 8 x 8 pixels with one-hot classes, split 300 / 300 / 1197.

    Grey values have mean 0 and variance 1 over the rows for weights.

    Args:
      seed: seed of the split, which is stratified by class.
    """
    from sklearn import datasets  # slow to import
    from sklearn.model_selection import train_test_split

    digits = datasets.load_digits()
    y = np.eye(10, dtype=np.float32)[digits.target]
    rest, test = train_test_split(
        np.arange(len(y)),
        train_size=2 * NUM_EACH,
        random_state=seed,
        stratify=digits.target,
    )
    weights, architecture = train_test_split(
        rest, train_size=NUM_EACH, random_state=seed, stratify=digits.target[rest]
    )
    x = digits.images[..., None]
    x = ((x - x[weights].mean()) / x[weights].std()).astype(np.float32)
    return Split(*(Rows(x[part], y[part]) for part in (weights, architecture, test)))
