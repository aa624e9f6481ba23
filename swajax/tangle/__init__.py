"""Weight-entangled, gradient-based architecture search (arXiv:2312.10440).

All networks of a search space live in one set of weights, the largest ones; options of
a choice are nested slices of it. A supernet is evaluated once at weights M * W, M being
the probabilities that entries are kept, and architecture and weights are trained
together.

    masks, layers, norms, attention    superposition of every kind of layer
    transformer, convolutions          modules of such layers, which spaces share
    cells, operations                  graphs of convolutions, what is on their edges
    patches                            the convolution of all, fast for small images
    references                         the forms it stands for, by loops
    choices, space                     what is chosen, and the record of a search space
    spaces/                            one file a space; `spaces.SPACES` lists them,
                                       `spaces.full_size` has them as in the paper
    rows, digits, chars, data          examples, and the data that spaces bring along
    samplers, simplex                  architecture vectors to probabilities
    gradients, optimizers, supernet    training of weights and vectors
    selection                          second stage: random search, evolution
    alone, study, alone_table          networks on their own, whole searches
"""
