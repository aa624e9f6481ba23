"""The fast form equals the plain form in values and gradients."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from swajax.network import batched
from swajax.network.batched import apply_batch
from swajax.types import ACTIVATIONS, Network

MIX = ("tanh", "leaky_relu", "sigmoid", "linear")
ALL = ("square", *MIX, "sin", "gelu")  # kept pre-activations beside kept outputs

# activations, depth, changes to the sizes, whether each network has its own points
CASES = {
    **{name: ((name,), 2, {}, False) for name in ACTIVATIONS},
    "mixture": (MIX, 2, {}, False),
    "mixture of depths": (MIX, None, {}, True),
    "mixture of all": (ALL, None, {}, False),
    "one layer": (("sigmoid",), 1, {}, False),
    "all layers": (("tanh",), 3, {}, True),
    "depths": (("sigmoid",), None, {}, False),
    "depths, own points": (("leaky_relu",), None, {}, True),
    "two outputs": (("tanh",), 2, {"num_outputs": 2}, False),
    "one network": (("tanh",), 2, {"num_networks": 1}, False),
    "at most one layer": (("sigmoid",), None, {"max_depth": 1}, False),
    "wide": (("tanh",), 2, {"num_inputs": 20, "max_width": 14}, False),
    "wide, own points": (("sigmoid",), None, {"max_width": 14}, True),
}


def make_case(
    key,
    activations,
    depth,
    sizes,
    is_own,
    *,
    num_networks=5,
    num_points=9,
    dtype=jnp.float32,
):
    """Draw soft masks, and mixtures that do not sum to one; every leaf matters."""
    default = {"num_inputs": 3, "num_outputs": 1, "max_width": 4, "max_depth": 3}
    sizes = {"num_networks": num_networks, **default, **sizes}
    num_b, num_i, num_o, num_h, num_l = sizes.values()
    keys = iter(jax.random.split(key, 9))
    draw = lambda *shape: jax.random.normal(next(keys), shape, dtype)  # noqa: E731
    depths = 1 + jnp.arange(num_b) % num_l
    networks = Network(
        first=draw(num_b, num_i, num_h),
        hidden=draw(num_b, num_l - 1, num_h, num_h),
        readout=draw(num_b, num_h, num_o),
        bias=draw(num_b, num_l, num_h),
        readout_bias=draw(num_b, num_o),
        mask=jax.nn.sigmoid(2 * draw(num_b, num_l, num_h)),
        activation=draw(num_b, num_l, num_h, len(activations)),
        depth=depths if depth is None else jnp.full(num_b, depth),
    )
    x = draw(*((num_b,) if is_own else ()), num_points, num_i)
    return networks, x, draw(num_b, num_points, num_o)


def evaluate(leaves, x, depths, target, *, activations, depth, form):
    networks = Network(*leaves, depths)
    out = apply_batch(networks, x, activations=activations, depth=depth, form=form)
    return (out * target).sum(), out


def assert_same(actual, wanted, tolerance=2e-5):
    for a, b in zip(jax.tree.leaves(actual), jax.tree.leaves(wanted), strict=True):
        scale = np.abs(b).max(initial=0.0)
        np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance * scale)


@pytest.mark.parametrize("case", CASES)
def test_fast_equals_plain_in_values_and_all_gradients(key, case):
    activations, depth, sizes, is_own = CASES[case]
    networks, x, target = make_case(key, activations, depth, sizes, is_own)
    results = {}
    for form in ("fast", "plain"):
        loss = functools.partial(
            evaluate, activations=activations, depth=depth, form=form
        )
        gradient = jax.jit(jax.value_and_grad(loss, argnums=(0, 1), has_aux=True))
        results[form] = gradient(networks[:-1], x, networks.depth, target)
    assert_same(results["fast"], results["plain"])
    for leaf in jax.tree.leaves(results["fast"][1][0][:1]):
        assert (leaf != 0).all()


def test_fast_equals_plain_in_x64(key):
    with jax.enable_x64(True):
        networks, x, target = make_case(key, ALL, None, {}, False, dtype=jnp.float64)
        results = []
        for form in ("fast", "plain"):
            loss = functools.partial(evaluate, activations=ALL, depth=None, form=form)
            gradient = jax.jit(jax.grad(loss, argnums=(0, 1), has_aux=True))
            results.append(gradient(networks[:-1], x, networks.depth, target))
        assert_same(*results, tolerance=1e-12)


@pytest.mark.parametrize("is_each_own_networks", [True, False])
def test_vmap_over_data_sets(key, is_each_own_networks):
    networks, _, _ = make_case(key, ("tanh",), 2, {}, False)
    x = jax.random.normal(key, (3, 9, 3))
    leaves = networks[:-1]
    if is_each_own_networks:
        leaves = jax.tree.map(lambda leaf: jnp.stack([leaf, 2 * leaf, -leaf]), leaves)
    axes = (0 if is_each_own_networks else None, 0)

    def total(leaves, x, form):
        one = lambda leaves, x: apply_batch(  # noqa: E731
            Network(*leaves, networks.depth),
            x,
            activations=("tanh",),
            depth=2,
            form=form,
        )
        out = jax.vmap(one, in_axes=axes)(leaves, x)
        assert out.shape == (3, 5, 9, 1)
        return jnp.sin(out).sum()

    gradient = jax.jit(
        jax.value_and_grad(total, argnums=(0, 1)), static_argnames="form"
    )
    assert_same(gradient(leaves, x, form="fast"), gradient(leaves, x, form="plain"))


def test_scan_over_gradient_steps(key):
    networks, x, target = make_case(key, ("sigmoid",), 2, {}, False)

    def train(leaves, form):
        def step(leaves, _):
            loss = functools.partial(
                evaluate, activations=("sigmoid",), depth=2, form=form
            )
            grads = jax.grad(loss, has_aux=True)(leaves, x, networks.depth, target)[0]
            return jax.tree.map(lambda a, g: a - 0.1 * g, leaves, grads), None

        return jax.lax.scan(step, leaves, None, length=3)[0]

    train = jax.jit(train, static_argnames="form")
    fast, plain = (train(networks[:-1], form=form) for form in ("fast", "plain"))
    assert_same(fast, plain)


def test_jit_equals_plain(key):
    networks, x, _ = make_case(key, MIX, None, {}, False)
    evaluate = functools.partial(apply_batch, activations=MIX, form="fast")
    assert_same(jax.jit(evaluate)(networks, x), evaluate(networks, x))


@pytest.mark.parametrize("activations", [("tanh",), ("sin",), ALL], ids=str)
def test_unused_layers_and_absent_neurons_have_no_gradient(key, activations):
    networks, x, target = make_case(key, activations, None, {}, False)
    networks = networks._replace(mask=jnp.round(networks.mask).at[:, :, 0].set(1.0))
    loss = functools.partial(evaluate, activations=activations, depth=None)
    loss = functools.partial(loss, form="fast")
    gradient = jax.jit(jax.grad(loss, has_aux=True))
    grads = Network(*gradient(networks[:-1], x, networks.depth, target)[0], None)
    is_used = np.arange(3)[None] < np.asarray(networks.depth)[:, None]
    is_absent = np.asarray(networks.mask) == 0
    assert not grads.bias[~is_used].any() and not grads.bias[is_absent].any()
    assert not grads.hidden[~is_used[:, 1:]].any()
    assert not grads.mask[~is_used].any() and not grads.activation[~is_used].any()
    assert not grads.first.swapaxes(1, 2)[is_absent[:, 0]].any()
    assert (grads.bias[is_used[..., None] & ~is_absent] != 0).all()


def test_auto_is_fast_on_cpu_only(key, monkeypatch):
    networks, x, _ = make_case(key, ("tanh",), 2, {}, False)
    forms = []
    monkeypatch.setattr(
        batched,
        "_apply_fast",
        lambda *args: forms.append("fast") or jnp.zeros((5, 9, 1)),
    )
    apply_batch(networks, x, activations=("tanh",), depth=2)
    assert forms == ["fast"]
    monkeypatch.setattr(jax, "default_backend", lambda: "tpu")
    out = apply_batch(networks, x, activations=("tanh",), depth=2)
    assert forms == ["fast"] and out.any()


def test_an_unknown_form_is_refused(key):
    networks, x, _ = make_case(key, ("tanh",), 2, {}, False)
    with pytest.raises(ValueError, match=r"form must be one of .* got 'quick'"):
        apply_batch(networks, x, activations=("tanh",), form="quick")
