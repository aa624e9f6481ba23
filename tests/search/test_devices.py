"""Searches, descents and supernets that are divided over devices.

Their number is fixed when JAX starts, so each test starts processes.
"""

import json
import os
import subprocess
import sys

import numpy as np
import pytest

SEARCH = """
import json, sys
import jax, numpy as np
from swajax.data.problem import Problem
from swajax.search.config import SearchConfig, SupernetSourceConfig
from swajax.search.run import find_front
from swajax.tangle.train.optimizers import SupernetConfig

def make_rows(seed):
    x = np.random.default_rng(seed).uniform(-1, 1, (40, 3))
    y = 2 * np.tanh(1.5 * x[:, :1] - 0.5) + x[:, 1:2] * x[:, 2:]
    return Problem(x, y, np.ones(40))

reports = []
front = find_front(
    jax.random.key(0), make_rows(0), make_rows(1), callback=reports.append,
    config=SearchConfig(
        max_weights=12, num_starts=24, num_rounds=1, num_kept=4, max_perturbed=4,
        max_width=3, max_depth=2, activations=("tanh", "linear"),
        sources=("random", "tangle"),
        supernet=SupernetSourceConfig(
            num_supernets=4, num_drawn=3,
            training=SupernetConfig(num_steps=20, batch_size=16),
        ),
    ),
)
names = ("num_weights", "train_loss", "valid_loss", "valid_loss_diff_se")
found = {name: np.asarray(getattr(front, name)).tolist() for name in names}
stages = list(dict.fromkeys(r.stage for r in reports))
print(json.dumps(found | {"devices": jax.device_count(), "stages": stages}))
"""

SOURCES = """
import dataclasses
import jax, numpy as np
from swajax.data.problem import Problem
from swajax.latent_search import DescentConfig
from swajax.search.config import (
    DescentSourceConfig, SearchConfig, SupernetSourceConfig,
)
from swajax.search.sources import SOURCES
from swajax.search.sources.base import StartRequest
from swajax.tangle.train.optimizers import SupernetConfig

x = np.float32(np.random.default_rng(0).uniform(-1, 1, (40, 3)))
rows = Problem(x, np.float32(np.sin(3 * x[:, :1]) * x[:, 1:2]), np.ones(40))
limits = SearchConfig(max_width=4, max_depth=2).make_spec(3, 1)
request = StartRequest(rows, rows, "squared", limits, 20, 8)
descent = DescentConfig(num_steps=6, chunk_steps=3, num_starts=4, num_screened=2)
training = SupernetConfig(num_steps=60, batch_size=16)
OPTIONS = {
    "direct": DescentSourceConfig(descent=descent),
    "tangle": SupernetSourceConfig(num_supernets=2, num_drawn=3, training=training),
}
assert jax.device_count() == 2
for name, options in OPTIONS.items():
    both = [
        SOURCES[name].find(
            jax.random.key(0),
            dataclasses.replace(request, options=options, devices=own),
        )
        for own in (tuple(jax.devices()), tuple(jax.devices()[:1]))
    ]
    assert both[0].num_steps == both[1].num_steps
    for two, one in zip(both[0].networks, both[1].networks, strict=True):
        np.testing.assert_allclose(two, one, rtol=1e-4, atol=1e-5)
print("done")
"""


def start(code, num_devices):
    return subprocess.Popen(
        [sys.executable, "-c", code],
        env=os.environ | {"JAX_NUM_CPU_DEVICES": str(num_devices)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(process):
    out, err = process.communicate(timeout=540)
    assert process.returncode == 0, err
    return out.splitlines()[-1]


@pytest.fixture(scope="module")
def fronts():
    """Fronts of one search on 1, 2 and 8 devices."""
    running = [start(SEARCH, num) for num in (1, 2, 8)]
    return [json.loads(finish(process)) for process in running]


def test_any_number_of_devices_finds_the_same_front(fronts):
    one, two, eight = fronts
    assert [front["devices"] for front in fronts] == [1, 2, 8]
    assert {"polish", "prune", "perturb", "grow"} <= set(one["stages"])
    assert len(one["num_weights"]) > 3
    # Sums are rounded differently where blocks or threads are divided differently.
    for other in (two, eight):
        assert other["num_weights"] == one["num_weights"]
        for name in ("train_loss", "valid_loss", "valid_loss_diff_se"):
            np.testing.assert_allclose(other[name], one[name], rtol=1e-6, atol=1e-6)


def test_descents_and_supernets_are_the_same_on_two_devices():
    assert finish(start(SOURCES, 2)) == "done"
