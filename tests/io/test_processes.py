"""The check against forked processes."""

import os

import pytest

from swajax.io import processes


def test_a_forked_child_is_refused(monkeypatch):
    monkeypatch.setattr(processes, "_first_pid", None)
    processes.check_not_forked()
    processes.check_not_forked()
    own = os.getpid()
    monkeypatch.setattr(os, "getpid", lambda: own + 1)
    with pytest.raises(RuntimeError, match=r'start processes by "spawn"'):
        processes.check_not_forked()
