"""The weights of the networks found, through a file."""

import jax
import numpy as np
import pytest

import swajax
from swajax.io import checkpoints
from swajax.tangle.choices import extreme
from swajax.tangle.found import FORMS, load_networks, save_network
from tests.tangle_cases import SMALL, make_case

SCORES = {form: {"loss": 1.5, "accuracy": np.nan} for form in FORMS}


def save(folder, space, params, start=0):
    architecture = extreme(space.choices, is_largest=start == 0)
    taken = space.take(params, architecture)
    shifts = {form: number for number, form in enumerate(FORMS)}
    weights = {
        form: jax.tree.map(lambda leaf, s=shift: leaf + s, taken)
        for form, shift in shifts.items()
    }
    how = {"architecture": architecture, "space": space}
    save_network(folder, start, weights, SCORES, **how)
    return architecture, weights


@pytest.mark.parametrize("name", SMALL)
def test_networks_of_every_space_come_back_bit_for_bit(name, tmp_path):
    space, params, x = make_case(name)
    saved = [save(tmp_path, space, params, start) for start in range(11)]
    loaded = load_networks(tmp_path)
    assert len(loaded) == 11  # in the order of the starts, 10 after 9
    for one, (architecture, weights) in zip(loaded, saved, strict=True):
        assert one.architecture == architecture
        assert one.space.config == space.config
        jax.tree.map(np.testing.assert_array_equal, one.weights, weights)
        assert one.scores["inherited"] == {"loss": 1.5, "accuracy": None}
    want = space.apply_standalone(weights["finetuned"], architecture, x)
    np.testing.assert_array_equal(one.apply(x, "finetuned"), want)


def test_what_cannot_be_loaded_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="no networks of python -m swajax"):
        load_networks(tmp_path)
    space, params, _ = make_case("digits-macro")
    save(tmp_path, space, params)
    (tmp_path / "results.json").write_text("{}")
    with pytest.raises(FileNotFoundError, match="load_networks reads them"):
        swajax.load(tmp_path)
    path = tmp_path / "found-0.safetensors"
    arrays, header = checkpoints.load(path)
    for changed in ({"space": "nasbench"}, {"genes": [0]}, {"config": {"far": 1}}):
        checkpoints.save(path, arrays, header=header | changed)
        with pytest.raises(ValueError, match=r"found-0\.safetensors: not written by"):
            load_networks(tmp_path)
