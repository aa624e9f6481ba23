"""Refine networks with a Gauss-Newton model of the loss: fit, prune, grow, perturb.

Functions of ONE network, pure JAX (`jax.vmap` makes a batch):

* `levenberg_marquardt.polish` fits the non-zero weights;
* `pruning.remove` removes a weight or a neuron by optimal brain surgeon;
* `growth.grow` adds the weight with the largest Newton gain;
* `growth.perturb` draws a random variant;
* `quadratic.evaluate` computes the loss of a network.

`batches` applies them to many networks, called from the host, in blocks whose shapes
come from `buckets`. Supporting modules: `quadratic` expands the loss, `linalg` inverts
small matrices, `checks` validates arguments.

Problems have rows on the first axis, x [N, I]; `quadratic` transposes them once per
call.
"""
