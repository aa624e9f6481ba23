"""Processes that meet over TCP: those that do not answer, and those that end."""

import socket
import subprocess
import sys
import threading

import pytest

from swajax.io import hosts

# Both processes say who they are; then one of them ends as its argument says.
PROGRAM = """
import os, sys, time
from swajax.io import hosts
port, index, end = sys.argv[1:]
with hosts.joined(f"127.0.0.1:{port}", 2, int(index), name="test"):
    print("joined", flush=True)
    if end == "raise":
        raise ValueError("a fault of its own")
    if end == "die":
        os._exit(7)
    if end == "wait":
        time.sleep(100)
print("done", flush=True)
"""


@pytest.fixture
def port():
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return probe.getsockname()[1]


@pytest.fixture(autouse=True)
def little_patience(monkeypatch):
    monkeypatch.setattr(hosts, "PATIENCE", 0.5)


def start(port, index, end):
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(port), str(index), end],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("host:1", 2, None), "must be given together"),
        (("host:1", None, 0), "must be given together"),
        (("host", 2, 0), "coordinator must be host:port, got 'host'"),
        (("host:x", 2, 0), "coordinator must be host:port"),
        ((":7733", 2, 0), "coordinator must be host:port"),
        (("host:70000", 2, 0), "coordinator must be host:port"),
        (("host:1", 0, 0), "num_processes must be >= 1"),
        (("host:1", 2, 2), "process_id must be"),
        (("host:1", 2, -1), "process_id must be"),
    ],
)
def test_options_are_checked(options, message):
    with pytest.raises(ValueError, match=message):
        hosts.check_options(*options)
    hosts.check_options(None, None, None)
    hosts.check_options("[::1]:7733", 2, 1)


def join(*options):
    with hosts.joined(*options, name="test"):
        raise AssertionError("joined")


def test_hosts_that_do_not_answer(port):
    message = f"coordinator 127.0.0.1:{port} did not answer within 0.5 s: .*refused"
    with pytest.raises(ValueError, match=message):
        join(f"127.0.0.1:{port}", 2, 1)
    message = f"processes 1, 2 of 3 did not connect to port {port} within 0.5 s"
    with pytest.raises(ValueError, match=message):
        join(f"127.0.0.1:{port}", 3, 0)
    with pytest.raises(ValueError, match=r"nowhere\.invalid:1 did not answer"):
        join("nowhere.invalid:1", 2, 1)
    with socket.create_server(("", port)), pytest.raises(OSError, match="in use"):
        join(f"127.0.0.1:{port}", 2, 0)


@pytest.mark.parametrize(
    ("number", "index", "message"),
    [
        (3, 1, "--num-processes 3 and --process-id 1, process 0 has 4 and 0"),
        (4, 2, "two processes have the process_id 2"),
    ],
)
def test_processes_of_other_options_are_refused(
    monkeypatch, port, number, index, message
):
    monkeypatch.setattr(hosts, "PATIENCE", 5)
    faults = []

    def connect():
        try:
            with hosts._connect("127.0.0.1", port, number, index) as link:
                hosts._receive_port(link, "c:1")
        except ValueError as error:  # the later one may find nobody
            faults.append(str(error))

    threads = [threading.Thread(target=connect) for _ in range(2)]
    for thread in threads:
        thread.start()
    with pytest.raises(ValueError, match=message):
        hosts._gather(port, 4)
    for thread in threads:
        thread.join()
    assert len(faults) == 2
    assert "coordinator c:1 ended before all processes were there" in faults


def test_strangers_are_ignored(port):
    end = threading.Event()

    def visit():
        with socket.create_connection(("127.0.0.1", port)) as link:
            link.sendall(b"GET / HTTP/1.1 and more of it")
            end.wait(5)

    thread = threading.Timer(0.1, visit)
    thread.start()
    with pytest.raises(ValueError, match="processes 1 of 2 did not connect"):
        hosts._gather(port, 2)
    end.set()
    thread.join()


@pytest.mark.parametrize("index", [0, 1])
@pytest.mark.parametrize("end", ["die", "raise"])
def test_a_process_that_ends_ends_the_other_one(port, index, end):
    ends = ["wait", "wait"]
    ends[index] = end
    both = [start(port, place, ends[place]) for place in range(2)]
    try:
        outputs = [process.communicate(timeout=60) for process in both]
    finally:
        for process in both:
            process.kill()
    assert [out.splitlines()[0] for out, _ in outputs] == ["joined", "joined"]
    assert outputs[1 - index][1] == (
        f"test: error: process {index} of 2 has ended; so does this one\n"
    )
    assert both[1 - index].returncode == 2
    assert both[index].returncode == (7 if end == "die" else 2)


def test_processes_that_are_done_wait_for_each_other(port):
    both = [start(port, place, "") for place in range(2)]
    outputs = [process.communicate(timeout=60) for process in both]
    assert [process.returncode for process in both] == [0, 0]
    assert outputs == [("joined\ndone\n", "")] * 2
