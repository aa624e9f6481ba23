"""Signals during long work: deferred, counted, and the end of a process."""

import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from swajax.io import interrupts

COMMAND = """
import dataclasses, hashlib, time
from swajax.io import commands, interrupts
@dataclasses.dataclass(frozen=True)
class Config:
    num_deferred: int = 0  # 0: without results
    is_compiling: bool = False
    is_evaluating: bool = False
def main(config):
    with interrupts.advising("continue with --resume"):
        num = config.num_deferred
        interrupts.should_end(bool(num), num_deferred=max(num, 1))
        print("ready", flush=True)
        if config.is_compiling:  # no bytecode for minutes
            hashlib.pbkdf2_hmac("sha256", b"", b"", 10**9)
        while not interrupts.should_end(bool(num), num_deferred=max(num, 1)):
            time.sleep(0.01)
        if config.is_evaluating:
            interrupts.stop_deferring()
        print("ending", flush=True)
        time.sleep(60 if config.is_evaluating else 0.5)
        print("results", interrupts.count())
commands.run_as_process(main, Config, name="c", is_long=True)
"""


def start(*arguments):
    # A process in the background ignores Ctrl-C, and so would those that it starts.
    old = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        return subprocess.Popen(
            [sys.executable, "-c", COMMAND, *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
    finally:
        signal.signal(signal.SIGINT, old)


def end(process, *numbers):
    """Send signals, each after a line of output; return exit code and output."""
    with process:
        try:
            for number in numbers:
                process.stdout.readline()
                process.send_signal(number)
            out, err = process.communicate(timeout=60)
        finally:
            process.kill()
    return process.returncode, out, err


INTERRUPTED = "continue with --resume\nc: interrupted\n"
ENDING = "c: ending, results follow\n"


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)]
)
def test_without_results_a_command_ends_at_once(number, code):
    process = start("--is-compiling")
    assert end(process, number) == (code, "", INTERRUPTED)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_with_results_a_signal_is_announced_and_the_work_ends(number):
    code, out, err = end(start("--num-deferred", "2"), number)
    assert (code, out, err) == (0, "ending\nresults 1\n", ENDING)


def test_the_second_signal_is_counted():
    numbers = signal.SIGINT, signal.SIGTERM
    assert end(start("--num-deferred", "2"), *numbers) == (0, "results 2\n", ENDING)


@pytest.mark.parametrize(
    "arguments", [("--num-deferred", "1"), ("--num-deferred", "2", "--is-evaluating")]
)
def test_one_more_than_the_work_defers_ends_a_command(arguments):
    numbers = signal.SIGINT, signal.SIGINT
    assert end(start(*arguments), *numbers) == (130, "", ENDING + INTERRUPTED)


@pytest.fixture
def default_handler():
    old = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield signal.default_int_handler
    signal.signal(signal.SIGINT, old)


def test_a_library_defers_ctrl_c_and_restores_the_handler(default_handler):
    term = signal.getsignal(signal.SIGTERM)
    with interrupts.deferred() as outer, interrupts.deferred() as inner:
        assert inner is outer and not interrupts.should_end()
        signal.raise_signal(signal.SIGINT)
        assert interrupts.should_end() and interrupts.count() == inner.num == 1
        assert signal.getsignal(signal.SIGTERM) == term
    assert signal.getsignal(signal.SIGINT) is default_handler
    assert not interrupts.should_end() and interrupts.count() == 0


def test_a_library_without_results_raises_between_blocks(default_handler):
    with interrupts.deferred():
        signal.raise_signal(signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            interrupts.should_end(has_results=False)
    assert signal.getsignal(signal.SIGINT) is default_handler


def test_the_third_ctrl_c_is_not_deferred(default_handler):
    with interrupts.deferred():
        assert not interrupts.should_end()
        for _ in range(interrupts.MAX_DEFERRED):
            signal.raise_signal(signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)


def test_an_application_keeps_its_own_handler(default_handler):
    received = []
    signal.signal(signal.SIGINT, lambda *_: received.append(1))
    with interrupts.deferred() as found:
        signal.raise_signal(signal.SIGINT)
        assert received == [1] and found.num == 0 and not interrupts.should_end()


def test_other_threads_are_left_alone(default_handler):
    seen = []

    def work():
        with interrupts.deferred() as found:
            seen.append((found.num, interrupts.should_end(), interrupts.count()))

    with interrupts.deferred():
        signal.raise_signal(signal.SIGINT)
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
    assert seen == [(0, False, 0)]


def test_a_command_restores_handlers_and_wakeup(default_handler):
    term = signal.getsignal(signal.SIGTERM)
    with interrupts.deferred_by_command("c") as own:
        own.limit = 1
        os.kill(os.getpid(), signal.SIGINT)
        for _ in range(1000):
            if own.num:
                break
            time.sleep(0.01)
        assert interrupts.should_end()
    found = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    assert found == (default_handler, term)
    assert signal.set_wakeup_fd(-1) == -1
