"""Compilation in threads."""

import threading
import time

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from swajax.search import programs


@pytest.fixture(autouse=True)
def no_requests(monkeypatch):
    """Begin without requests, with one thread that is joined at the end."""
    monkeypatch.setattr(programs, "_requested", {})
    monkeypatch.setattr(programs, "count_cores", lambda: 1)
    programs._executor.cache_clear()
    yield
    programs._executor().shutdown()
    programs._executor.cache_clear()


def test_a_program_is_compiled_once_in_a_thread_as_it_will_be_called():
    seen = []

    def work():
        seen.append((threading.current_thread(), jax.config.jax_enable_x64))

    with jax.enable_x64(True):
        programs.request("a", work)
        programs.request("a", work)
    programs.request("b", work)
    assert programs.is_ready("a", seconds=60.0) and programs.is_ready("b", seconds=60.0)
    programs.request("a", work)
    (first, is_double), (_, is_single) = seen
    assert first is not threading.main_thread() and is_double and not is_single


def test_a_program_is_ready_when_it_is_compiled_or_was_never_requested():
    release = threading.Event()
    programs.request("slow", release.wait)
    assert programs.is_ready("other") and not programs.is_ready("slow", seconds=-1.0)
    begin = time.monotonic()
    assert not programs.is_ready("slow", seconds=0.2)
    assert 0.15 < time.monotonic() - begin < 30
    release.set()
    assert programs.is_ready("slow")  # without a limit


def test_waiting_requests_can_be_dropped_and_made_again():
    release, done = threading.Event(), []
    programs.request("running", release.wait)
    programs.request("waiting", lambda: done.append("first"))
    while not programs._requested["running"].running():
        time.sleep(0.01)
    programs.drop_waiting()
    assert list(programs._requested) == ["running"] and programs.is_ready("waiting")
    programs.request("waiting", lambda: done.append("second"))
    release.set()
    assert programs.is_ready("waiting") and done == ["second"]


def test_a_requested_program_is_not_compiled_again_when_it_is_called():
    compiled = []

    def listen(event, _, **__):
        if event.endswith("backend_compile_duration"):
            compiled.append(event)

    fn = jax.jit(lambda x: jnp.sin(x) @ x.T)
    x = np.ones((3, 5), np.float32)
    shape = jax.ShapeDtypeStruct(x.shape, x.dtype)
    jax.monitoring.register_event_duration_secs_listener(listen)
    try:
        programs.request("fn", lambda: fn.lower(shape).compile())
        assert programs.is_ready("fn")
        assert len(compiled) == 1
        np.testing.assert_allclose(fn(x), np.full((3, 3), 5 * np.sin(1)), rtol=1e-6)
        assert len(compiled) == 1
    finally:
        jax.monitoring.unregister_event_duration_listener(listen)


def test_a_compilation_that_fails_is_left_to_the_call():
    programs.request("bad", lambda: 1 / 0)
    assert programs.is_ready("bad", seconds=60.0)


@pytest.mark.parametrize(("share", "num_kept"), [(0.4, 1), (0.6, 0)])
def test_programs_are_dropped_before_the_memory_maps_run_out(
    share, num_kept, monkeypatch
):
    program = jax.jit(lambda x: x + 1)
    program(1.0)
    programs.request("done", lambda: None)
    assert programs.is_ready("done", seconds=60.0)
    monkeypatch.setattr(programs.processes, "share_of_maps", lambda: share)
    programs.make_room()
    assert program._cache_size() == num_kept
    assert ("done" in programs._requested) == bool(num_kept)
