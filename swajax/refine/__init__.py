"""Refine networks by the Gauss-Newton form of their loss: fit, prune, grow, perturb.

Functions of ONE network, pure JAX (`jax.vmap` makes a batch):

* `levenberg_marquardt.polish` fits the non-zero weights;
* `pruning.remove` removes a weight or a neuron by optimal brain surgeon;
* `growth.grow` adds the weight with the largest Newton gain;
* `growth.perturb` draws a random variant;
* `quadratic.evaluate` computes the loss of a network.

Many networks at once, from the host: `batches`, in blocks of the shapes of `buckets`.
Below these: `quadratic` expands the loss, `linalg` inverts small matrices, `checks`
validates arguments.

Problems have their rows first, x [N, I]; `quadratic` transposes them, once per call.
"""
