"""Weight-entangled, gradient-based architecture search (arXiv:2312.10440).

All networks of a search space share the weights of the largest one, and the options of
a choice are nested slices of them. A supernet is evaluated once, at weights M * W,
where M is the probability that each weight is kept; architecture vectors and weights
are trained together.

    choices       choices with options, architectures, probabilities
    samplers      from architecture vectors to probabilities
    simplex       maps onto the simplex, used by the samplers
    selection     second stage: random search and evolution
    layers/       masked layers; axes: the choice that each axis of a weight follows
    spaces/       one search space per file, listed in `spaces.SPACES`
    data/         data sets of the spaces
    train/        steps of weights and vectors; standalone training and evaluation
    experiment    a complete search
    found         weights of the networks found by a run
    networks      front of the networks found in the space mlp
    journal       files to resume a run
    plots         plots of a run
"""
