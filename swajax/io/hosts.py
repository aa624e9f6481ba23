"""Processes on several hosts that work together: how they meet, and end together.

JAX aborts a process, with many lines, if another one does not answer or ends. So the
processes meet here first, over plain TCP: process 0 listens at the address of the
coordinator, the others connect. Then all start `jax.distributed` at a port that process
0 names. The connections stay open: when one closes, its process has ended, and so do
all others, with one line each.
"""

import atexit
import contextlib
import socket
import struct
import sys
import threading
import time
from collections.abc import Iterator

from swajax.io import interrupts
from swajax.io.commands import EXIT_ERROR
from swajax.io.configs import check_range
from swajax.io.relay import start_relay

PATIENCE = 60.0  # seconds to wait for the other processes
HEARTBEAT = 45  # seconds after which JAX takes a process for dead
HELLO, PORT = struct.Struct("!6sII"), struct.Struct("!H")
MAGIC, DONE = b"swajax", b"."
# A host that is gone is noticed after 10 + 4 * 5 seconds.
KEEPALIVE = {"TCP_KEEPIDLE": 10, "TCP_KEEPINTVL": 5, "TCP_KEEPCNT": 4}


def check_options(
    coordinator: str | None, num_processes: int | None, process_id: int | None
) -> None:
    """Check the options of a command for several hosts.

    Raises:
      ValueError: some are missing, or out of range.
    """
    options = (coordinator, num_processes, process_id)
    if options.count(None) not in (0, 3):
        raise ValueError(
            "coordinator, num_processes and process_id must be given together, got "
            f"{options}"
        )
    if coordinator is not None:
        check_range("num_processes", num_processes, minimum=1)
        check_range("process_id", process_id, minimum=0, maximum=num_processes - 1)
        _split_address(coordinator)


@contextlib.contextmanager
def joined(
    coordinator: str | None,
    num_processes: int | None,
    process_id: int | None,
    *,
    name: str,
) -> Iterator[None]:
    """Join the processes of several hosts; within the block all live, or none.

    Args:
      coordinator: host:port of process 0; None for a process on its own.
      num_processes: number of processes.
      process_id: index of this process.
      name: name of the command in messages.

    Raises:
      ValueError: a process does not answer within a minute, or two have one index.
      OSError: the port is in use.
    """
    if coordinator is None:
        yield
        return
    host, port = _split_address(coordinator)
    if process_id == 0:
        links = _gather(port, num_processes)
        port = _find_free_port()
        for link in links.values():
            link.sendall(PORT.pack(port))
    else:
        link = _connect(host, port, num_processes, process_id)
        links = {0: link}
        host, port = "127.0.0.1", start_relay(host, _receive_port(link, coordinator))
    ends = [_Watch(link, index, num_processes, name) for index, link in links.items()]
    import jax  # here, so that messages come soon

    jax.distributed.initialize(
        f"{host}:{port}",
        num_processes,
        process_id,
        heartbeat_timeout_seconds=HEARTBEAT,
    )
    try:
        yield
    except BaseException:
        # The end of jax.distributed would wait for the others, which end too.
        atexit.register(interrupts.end_process, EXIT_ERROR)
        raise
    for end in ends:
        end.link.sendall(DONE)
    for end in ends:
        end.is_done.wait()


class _Watch:
    """A thread that ends this process when another one ends before it is done."""

    def __init__(
        self, link: socket.socket, index: int, num_processes: int, name: str
    ) -> None:
        self.link, self.is_done = link, threading.Event()
        self.message = (
            f"{name}: error: process {index} of {num_processes} has ended; so does "
            "this one\n"
        )
        _keep_alive(link)
        threading.Thread(target=self._wait, daemon=True).start()

    def _wait(self) -> None:
        with contextlib.suppress(OSError):
            if self.link.recv(1) == DONE:
                self.is_done.set()
                return
        sys.stderr.write(self.message)
        interrupts.end_process(EXIT_ERROR)


def _gather(port: int, num_processes: int) -> dict[int, socket.socket]:
    """Wait for the other processes; return their connections by index."""
    end, links = time.monotonic() + PATIENCE, {}
    with _listen(port) as listener, contextlib.ExitStack() as opened:
        while len(links) < num_processes - 1:
            listener.settimeout(max(end - time.monotonic(), 0.001))
            try:
                link, _ = listener.accept()
            except TimeoutError:
                missing = sorted(set(range(1, num_processes)) - set(links))
                raise ValueError(
                    f"processes {', '.join(map(str, missing))} of {num_processes} did "
                    f"not connect to port {port} within {PATIENCE:g} s"
                ) from None
            opened.enter_context(link)
            index = _read_hello(link, num_processes)
            if index in links:
                raise ValueError(f"two processes have the process_id {index}")
            if index is not None:
                links[index] = link
        opened.pop_all()  # all are there: they stay open
    return links


def _listen(port: int) -> socket.socket:
    try:
        return socket.create_server(("", port))
    except OSError as error:
        raise OSError(error.errno, error.strerror, f"port {port}") from None


def _read_hello(link: socket.socket, num_processes: int) -> int | None:
    """Return the index of a process; None if it is a stranger."""
    link.settimeout(5)
    with contextlib.suppress(OSError):
        raw = _receive(link, HELLO.size)
        link.settimeout(None)
        if len(raw) == HELLO.size and raw.startswith(MAGIC):
            _, number, index = HELLO.unpack(raw)
            if number != num_processes or not 0 < index < number:
                raise ValueError(
                    f"a process has --num-processes {number} and --process-id {index}, "
                    f"process 0 has {num_processes} and 0"
                )
            return index
    link.close()
    return None


def _connect(
    host: str, port: int, num_processes: int, process_id: int
) -> socket.socket:
    """Connect to process 0, which may start later."""
    end, cause = time.monotonic() + PATIENCE, ""
    while (seconds := end - time.monotonic()) > 0:
        try:
            link = socket.create_connection((host, port), timeout=seconds)
        except OSError as error:
            cause = error.strerror or str(error)
            time.sleep(min(0.2, seconds))
            continue
        link.settimeout(None)
        link.sendall(HELLO.pack(MAGIC, num_processes, process_id))
        return link
    raise ValueError(
        f"coordinator {host}:{port} did not answer within {PATIENCE:g} s: {cause}"
    )


def _receive_port(link: socket.socket, coordinator: str) -> int:
    """Return the port of `jax.distributed`, when all processes are there."""
    link.settimeout(2 * PATIENCE)
    try:
        raw = _receive(link, PORT.size)
    except OSError:
        raw = b""
    if len(raw) < PORT.size:
        raise ValueError(
            f"coordinator {coordinator} ended before all processes were there"
        )
    link.settimeout(None)
    return PORT.unpack(raw)[0]


def _receive(link: socket.socket, size: int) -> bytes:
    """Receive up to `size` bytes; fewer if the connection is closed."""
    raw = b""
    while len(raw) < size and (more := link.recv(size - len(raw))):
        raw += more
    return raw


def _find_free_port() -> int:
    with socket.create_server(("", 0)) as probe:
        return probe.getsockname()[1]


def _keep_alive(link: socket.socket) -> None:
    link.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in KEEPALIVE.items():
        if hasattr(socket, option):
            link.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)


def _split_address(coordinator: str) -> tuple[str, int]:
    host, _, port = coordinator.rpartition(":")
    if not host or not port.isdecimal() or not 0 < int(port) < 2**16:
        raise ValueError(f"coordinator must be host:port, got {coordinator!r}")
    return host, int(port)
