"""Devices of a process, and programs that are divided among them.

The number of CPU devices is fixed when JAX starts, so some tests start processes.
"""

import os
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from swajax.io import devices


def run_code(code, *arguments, **variables):
    """Run Python code in a process without the settings of these tests."""
    env = {k: v for k, v in os.environ.items() if k != "JAX_NUM_CPU_DEVICES"}
    return subprocess.run(
        [sys.executable, "-c", code, *arguments],
        env=env | variables,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


CHOOSE = """
import sys
from swajax.io import devices
devices.count_cores = lambda: 3
if "late" in sys.argv:
    import jax
    jax.devices()
num = [int(text) for text in sys.argv[1:] if text.isdigit()]
try:
    print(len(devices.choose_devices(*num)))
except ValueError as error:
    print(error)
"""


@pytest.mark.parametrize(
    ("arguments", "variables", "wanted"),
    [
        ((), {}, "3"),
        (("2",), {}, "2"),
        (("4",), {}, "devices must be <= 3, the number of cores; got 4"),
        ((), {"JAX_NUM_CPU_DEVICES": "8"}, "8"),
        (("5",), {"JAX_NUM_CPU_DEVICES": "8"}, "5"),
        ((), {"XLA_FLAGS": "--xla_force_host_platform_device_count=2"}, "2"),
        (("late",), {}, "1"),
        (
            ("late", "2"),
            {},
            "devices must be <= 1, the number that JAX has started with; got 2",
        ),
    ],
)
def test_a_process_has_one_cpu_device_per_core(arguments, variables, wanted):
    result = run_code(CHOOSE, *arguments, **variables)
    assert result.stdout == wanted + "\n", result.stderr


@pytest.mark.parametrize("num", [0, -1])
def test_numbers_of_devices_below_one_are_refused(num):
    with pytest.raises(ValueError, match=f"devices must be >= 1, got {num}"):
        devices.choose_devices(num)


def test_cores_are_those_that_the_process_may_use():
    allowed = min(os.sched_getaffinity(0))
    code = (
        f"import os; os.sched_setaffinity(0, {{{allowed}}}); "
        "from swajax.io import devices; print(devices.count_cores())"
    )
    assert run_code(code).stdout == "1\n"


DIVIDE = """
import jax, jax.numpy as jnp, numpy as np
from swajax.io import devices
four = devices.choose_devices()
assert len(four) == 4
counts = [len(devices.largest_divisor(num, four)) for num in (1, 2, 3, 6, 7, 8)]
assert counts == [1, 2, 3, 3, 1, 4], counts
x = np.arange(24.0).reshape(2, 12)
for axis, part in ((0, (1, 12)), (1, (2, 3))):
    own = devices.largest_divisor(x.shape[axis], four)
    def add(batch, shift):
        assert batch["x"].shape == part and shift.shape == ()
        return batch["x"] + shift
    add = devices.divide_first(add, own, axis=axis)
    batch = devices.divide({"x": x}, own, axis=axis)
    assert batch["x"].sharding.shard_shape(x.shape) == part
    for given in ({"x": x}, batch):
        out = add(given, np.float32(0.5))
        assert out.sharding.shard_shape(x.shape) == part
        np.testing.assert_array_equal(out, x + 0.5)
everywhere = devices.replicate(x, four)
assert everywhere.sharding.shard_shape(x.shape) == x.shape
assert everywhere.sharding.device_set == set(four)
assert devices.all_devices(None) == four
assert devices.all_devices(four[:2]) == four[:2]
print("done")
"""


def test_batches_are_divided_and_other_arguments_copied():
    result = run_code(DIVIDE, JAX_NUM_CPU_DEVICES="4")
    assert result.stdout == "done\n", result.stderr


def test_no_devices_are_refused():
    assert devices.all_devices(None) == tuple(jax.local_devices())
    with pytest.raises(ValueError, match=r"some of jax.local_devices\(\), got \(\)"):
        devices.all_devices(())


def test_the_program_of_one_device_is_that_of_the_function():
    fn = devices.divide_first(lambda x, y: x * y, tuple(jax.local_devices()[:1]))
    x = jnp.arange(3.0)
    np.testing.assert_array_equal(fn(x, 2.0), 2 * x)
