"""HTTP connections that cannot be held open by a peer that dribbles.

urllib3's read timeout starts anew with every byte. Here an answer's whole header has that time,
and each block of an upload has the stall limit (urllib3 would give it the connect timeout).
"""

from __future__ import annotations

import contextlib
import socket
import threading
from http.client import HTTPException
from typing import Any

import requests.adapters
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool
from urllib3.response import HTTPResponse

from careen.transport.access import Timeouts

__all__ = ["Adapter"]

_CONNECTIONS = 32  # kept open per host: more than there will be parallel blobs
_BLOCK = 1 << 17  # bytes handed to the socket at once; urllib3's 16 KiB costs a third of the speed
_LATE = "the answer's header did not arrive in time"


class Adapter(requests.adapters.HTTPAdapter):
    """requests' adapter without retries, over connections with deadlines."""

    def __init__(self, timeouts: Timeouts) -> None:
        stall = {"stall": timeouts.stall}
        self._connections = {
            "http": type("_Plain", (_Deadlines, HTTPConnection), stall),
            "https": type("_Secure", (_Deadlines, HTTPSConnection), stall),
        }
        super().__init__(pool_connections=8, pool_maxsize=_CONNECTIONS, max_retries=0)

    def init_poolmanager(self, *args: Any, **options: Any) -> None:
        """As requests' own, with larger blocks."""
        super().init_poolmanager(*args, blocksize=_BLOCK, **options)

    def get_connection_with_tls_context(self, *args: Any, **options: Any) -> HTTPConnectionPool:
        """The pool that requests would take, opening connections with deadlines."""
        pool = super().get_connection_with_tls_context(*args, **options)
        assert isinstance(pool, HTTPConnectionPool)  # noqa: S101 - for the type checker
        pool.ConnectionCls = self._connections[pool.scheme]
        return pool


class _Deadlines(HTTPConnection):
    stall: float

    def request(self, *args: Any, **options: Any) -> None:
        if self.sock is None:
            self.connect()
        self.timeout = self.stall
        super().request(*args, **options)

    def getresponse(self) -> HTTPResponse:  # type: ignore[override]
        late = threading.Event()
        timer = threading.Timer(self.timeout or self.stall, self._hang_up, (late,))
        timer.daemon = True
        timer.start()
        try:
            response = super().getresponse()
        except (OSError, HTTPException) as error:
            if late.is_set():
                raise TimeoutError(_LATE) from error
            raise
        finally:
            timer.cancel()
        if late.is_set():  # half a header can look like a whole one
            response.close()
            raise TimeoutError(_LATE)
        return response

    def _hang_up(self, late: threading.Event) -> None:
        late.set()
        if self.sock is not None:
            with contextlib.suppress(OSError):
                self.sock.shutdown(socket.SHUT_RDWR)
