"""The check against forked processes, and the age of a process."""

import os
import subprocess
import sys
import time
from pathlib import Path

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


def test_the_age_of_a_process_counts_from_its_start():
    code = "import time; time.sleep(0.5); from swajax.io import processes as p; "
    begin = time.monotonic()
    out = subprocess.check_output([sys.executable, "-c", code + "print(p.find_age())"])
    assert 0.4 < float(out) < time.monotonic() - begin + 0.1
    assert processes.find_age() > float(out) - 0.1


def test_a_system_that_does_not_tell_the_age_counts_from_now(monkeypatch):
    def fail(self):
        raise FileNotFoundError(self)

    monkeypatch.setattr(Path, "read_text", fail)
    assert processes.find_age() == 0.0


def test_the_start_of_a_command_is_part_of_its_time_budget(monkeypatch):
    now = [1000.0]
    monkeypatch.setattr(processes, "_begin", None)
    monkeypatch.setattr(processes, "find_age", lambda: 3.0)
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    assert processes.remaining_time(10.0) == 10.0  # of no command
    processes.begin_command()
    assert processes.remaining_time(None) is None
    assert processes.remaining_time(10.0) == 7.0
    now[0] += 5
    assert processes.remaining_time(10.0) == 2.0
    assert processes.remaining_time(5.0) == processes.MIN_SECONDS


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="Linux only")
def test_memory_maps_are_counted():
    assert 0 < processes.share_of_maps() < 0.9
