"""Arguments that do not fit are rejected, also under jit."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from refine_cases import SMALL_FIT, make_small_problem, one_layer, stack

from swajax.data.problem import Problem
from swajax.refine.growth import grow, perturb
from swajax.refine.levenberg_marquardt import polish
from swajax.refine.pruning import remove
from swajax.refine.quadratic import Fit, evaluate

NETWORK = one_layer([(2.0, 0.5, 0.4, 1.5)], readout_bias=0.3)  # five weights
FNS = {
    "evaluate": evaluate,
    "grow": grow,
    "perturb": functools.partial(perturb, jax.random.key(0)),
    "polish": functools.partial(polish, capacity=5, num_steps=1),
    "remove": functools.partial(remove, capacity=5),
}


@pytest.mark.parametrize("name", FNS)
@pytest.mark.parametrize("wrap", [jax.jit, lambda fn: fn], ids=["jit", "plain"])
def test_a_problem_of_the_wrong_shape_is_refused(name, wrap):
    fn = wrap(functools.partial(FNS[name], fit=SMALL_FIT))
    x, y, weight = problem = make_small_problem()
    swapped = Problem(x.T, y.T, weight)
    for wrong in (swapped, problem._replace(x=x[1:]), problem._replace(y=x)):
        with pytest.raises(ValueError, match=r"rows first.*I = 2 and O = 1"):
            fn(NETWORK, wrong)
    with pytest.raises(ValueError, match=r"weight \[N\].*\(30, 1\), \(29,\)"):
        fn(NETWORK, problem._replace(weight=weight[1:]))


def test_a_batch_and_other_activations_are_refused():
    problem = make_small_problem()
    with pytest.raises(ValueError, match=r"one network, got a batch .*\(2,\).*vmap"):
        evaluate(stack(NETWORK, NETWORK), problem, fit=SMALL_FIT)
    with pytest.raises(ValueError, match=r"name the 2 kinds .*\('tanh',\)"):
        evaluate(NETWORK, problem, fit=Fit(activations=("tanh",)))


def test_a_fit_of_unknown_activations_is_refused():
    with pytest.raises(ValueError, match=r"activations must be among .* \('elu',\)"):
        Fit(activations=("elu",))


@pytest.mark.parametrize("name", ["polish", "remove"])
def test_a_capacity_below_the_number_of_weights_is_refused(name):
    fn = functools.partial(FNS[name], problem=make_small_problem(), fit=SMALL_FIT)
    for capacity in (4, 0):
        with pytest.raises(ValueError, match=f"capacity must be .* got {capacity}$"):
            fn(NETWORK, capacity=capacity)
    # Within a jitted function, but of a network that is not traced.
    with pytest.raises(ValueError, match="number of weights, 5, got 4"):
        jax.jit(lambda: fn(NETWORK, capacity=4))()


def test_weights_of_absent_neurons_need_no_capacity():
    masked = NETWORK._replace(first=jnp.ones_like(NETWORK.first))
    assert np.count_nonzero(masked.first) == 8
    fn = functools.partial(FNS["polish"], fit=SMALL_FIT)
    jax.eval_shape(lambda: fn(masked, make_small_problem()))
