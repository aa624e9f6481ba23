"""A relay of TCP connections that hides the end of the other side.

JAX aborts a process in the moment in which it loses its connection to process 0. With a
relay between them, `swajax.io.hosts` can say so in one line instead.
"""

import contextlib
import socket
import threading
from collections.abc import Callable
from typing import Any

SIZE = 2**16  # bytes read at a time


def start_relay(host: str, port: int) -> int:
    """Relay connections to a local port to another host; return the local port."""
    listener = socket.create_server(("127.0.0.1", 0))
    _start_thread(_accept_all, listener, (host, port))
    return listener.getsockname()[1]


def _accept_all(listener: socket.socket, address: tuple[str, int]) -> None:
    while True:
        local, _ = listener.accept()
        try:
            remote = socket.create_connection(address)
        except OSError:
            local.close()  # JAX tries again
            continue
        _start_thread(_copy, local, remote, True)
        _start_thread(_copy, remote, local, False)


def _copy(source: socket.socket, target: socket.socket, closes: bool) -> None:
    """Copy bytes to the target until the source ends; then perhaps end the target."""
    with contextlib.suppress(OSError):
        while data := source.recv(SIZE):
            target.sendall(data)
        if closes:
            target.shutdown(socket.SHUT_RDWR)


def _start_thread(target: Callable[..., None], *arguments: Any) -> None:
    threading.Thread(target=target, args=arguments, daemon=True).start()
