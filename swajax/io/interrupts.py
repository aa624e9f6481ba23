"""Interrupts as a flag that long work reads between its blocks.

Python's own handler raises `KeyboardInterrupt` at any bytecode. Within a callback of
JAX this exception is lost, and within a compilation it leaves threads behind that crash
the interpreter at its end. While the handlers of this module are installed, signals
are counted instead, and the work ends after its current block.
"""

import contextlib
import os
import signal
import socket
import sys
import threading
from collections.abc import Iterator
from types import FrameType

# Handlers of an application are left in place.
DEFAULT_HANDLERS = {
    signal.SIGINT: signal.default_int_handler,
    signal.SIGTERM: signal.SIG_DFL,
}
MAX_DEFERRED = 2  # the second signal skips what the results can do without


def end_imports_on_interrupt() -> None:
    """Let Ctrl-C end this process in one line until `end_imports` is called.

    A command imports for seconds before it can answer signals.
    """
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _end_in_one_line)


def end_imports() -> None:
    """Restore the handler that `end_imports_on_interrupt` has replaced."""
    if signal.getsignal(signal.SIGINT) is _end_in_one_line:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _end_in_one_line(number: int, frame: FrameType | None) -> None:
    del frame
    names = [text for text in sys.orig_argv if text.startswith("swajax.")]
    _write(f"python -m {names[0]}: interrupted\n")
    end_process(128 + number)


class Interrupts:
    """Signals received while the handlers are installed."""

    def __init__(self) -> None:
        """Count from 0."""
        self.num = 0
        self.limit = 0  # signals that the work answers itself; 0 without results
        self.advice = ""

    def receive(self, number: int) -> None:
        """Count a signal; after `MAX_DEFERRED` of them raise `KeyboardInterrupt`."""
        del number
        self.num += 1
        if self.num > MAX_DEFERRED:
            raise KeyboardInterrupt


class _CommandInterrupts(Interrupts):
    """Signals of a command, received in a thread of their own."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name

    def receive(self, number: int) -> None:
        """Announce the end or, if there is nothing to keep, end the process."""
        self.num += 1
        if self.num > self.limit:
            advice = f"{self.advice}\n" if self.advice else ""
            _write(f"{advice}{self.name}: interrupted\n")
            end_process(128 + number)
        if self.num == 1:
            _write(f"{self.name}: ending, results follow\n")


_active: Interrupts | None = None


@contextlib.contextmanager
def deferred() -> Iterator[Interrupts]:
    """Defer Ctrl-C within the block to the calls of `should_end`.

    SIGTERM keeps its handler: it ends the process of a library's user. Nothing is
    changed outside of the main thread, where the application has an own handler, and
    within another such block, whose counts are returned.
    """
    is_own = signal.getsignal(signal.SIGINT) is DEFAULT_HANDLERS[signal.SIGINT]
    if not _is_main_thread() or (_active is None and not is_own):
        yield Interrupts()
        return
    if _active is not None:
        yield _active
        return
    own = Interrupts()

    def handle(number: int, frame: FrameType | None) -> None:
        del frame
        own.receive(number)

    with _installed(own, {signal.SIGINT: handle}):
        yield own


@contextlib.contextmanager
def deferred_by_command(name: str) -> Iterator[Interrupts]:
    """Defer Ctrl-C and SIGTERM of a whole process to the calls of `should_end`.

    Without results the process ends at once with exit code 128 + the number of the
    signal, even within a compilation; a thread receives the signals.

    Args:
      name: name of the command in messages.
    """
    own = _CommandInterrupts(name)
    handlers = {
        number: lambda *_: None
        for number, default in DEFAULT_HANDLERS.items()
        if signal.getsignal(number) == default
    }
    reader, writer = socket.socketpair()
    writer.setblocking(False)
    thread = threading.Thread(
        target=_receive_all, args=(reader, own, set(handlers)), daemon=True
    )
    thread.start()
    old = signal.set_wakeup_fd(writer.fileno())
    try:
        with _installed(own, handlers):
            yield own
    finally:
        signal.set_wakeup_fd(old)
        writer.close()
        thread.join()
        reader.close()


def should_end(has_results: bool = True, *, num_deferred: int = MAX_DEFERRED) -> bool:
    """Return whether a signal asks the work to end with the results that it has.

    Args:
      has_results: whether the work could end now; remembered by later calls.
      num_deferred: number of signals that the work answers itself once it has results;
        the next one ends a command at once.

    Raises:
      KeyboardInterrupt: a signal has come, and there are no results.
    """
    if _active is None or not _is_main_thread():
        return False
    if has_results:
        _active.limit = max(_active.limit, num_deferred)
    if _active.num > _active.limit:
        raise KeyboardInterrupt
    return _active.num > 0


def count() -> int:
    """Return the number of deferred signals so far."""
    return _active.num if _active is not None and _is_main_thread() else 0


def stop_deferring() -> None:
    """Let the next signal end a command at once: its state is saved."""
    if _active is not None:
        _active.limit = _active.num


@contextlib.contextmanager
def advising(advice: str) -> Iterator[None]:
    """Write a line of advice to stderr if an interrupt ends the block."""
    if _active is not None:
        _active.advice = advice
    try:
        yield
    except KeyboardInterrupt:
        sys.stderr.write(f"\n{advice}\n")
        raise


def end_process(code: int) -> None:
    """End the process at once, without the end of the interpreter.

    Threads of a compilation that still run would crash it.
    """
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError, RuntimeError):
            stream.flush()
    os._exit(code)


@contextlib.contextmanager
def _installed(own: Interrupts, handlers: dict) -> Iterator[None]:
    global _active
    old = {number: signal.signal(number, fn) for number, fn in handlers.items()}
    _active = own
    try:
        yield
    finally:
        _active = None
        for number, handler in old.items():
            signal.signal(number, handler)


def _receive_all(reader: socket.socket, own: Interrupts, numbers: set[int]) -> None:
    while data := reader.recv(64):  # a byte per signal; none when the writer is closed
        for number in data:
            if number in numbers:
                own.receive(number)


def _write(text: str) -> None:
    """Write to stderr from any thread, below an unfinished progress bar."""
    start = "\n" if sys.stderr.isatty() else ""
    with contextlib.suppress(OSError):
        os.write(2, (start + text).encode(errors="backslashreplace"))


def _is_main_thread() -> bool:
    return threading.current_thread() is threading.main_thread()
