"""Receivers of sinks, on ports of their own, that go down and come up again on the same one."""

import json
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import BaseRequestHandler, TCPServer, ThreadingTCPServer

from google.protobuf.json_format import Parse
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest

from tests.sinks.test_sinks import plain_value
from tests.support.ports import free_port


class _Tcp(ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True


class _Http(ThreadingHTTPServer):
    allow_reuse_address = True
    daemon_threads = True


class Listener:
    """``got`` are the sequences of the events that came, in their order."""

    def __init__(self) -> None:
        self.port = free_port()
        self.got: list[int] = []
        self._server: TCPServer | None = None
        self._connections: set[socket.socket] = set()

    def up(self) -> None:
        self._server = self._open()
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def down(self) -> None:
        """Nobody listens, and whoever was connected is cut off."""
        server, self._server = self._server, None
        if server is not None:
            server.shutdown()
            server.server_close()
        for connection in [*self._connections]:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def _open(self) -> TCPServer:
        raise NotImplementedError


class HttpListener(Listener):
    """Takes what Splunk's collector takes at ``/services/collector``, and OpenTelemetry logs at ``/v1/logs``."""

    def _open(self) -> TCPServer:
        listener = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def setup(self) -> None:
                super().setup()
                listener._connections.add(self.connection)

            def finish(self) -> None:
                listener._connections.discard(self.connection)
                with suppress(OSError):
                    super().finish()

            def do_POST(self) -> None:
                content = self.rfile.read(int(self.headers["content-length"]))
                if self.path == "/v1/logs":
                    listener.got += _of_opentelemetry(content)
                else:
                    listener.got += [json.loads(line)["event"]["metadata"]["sequence"] for line in content.splitlines()]
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", "2")
                self.end_headers()
                self.wfile.write(b"{}")

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 -- the standard library's name
                """Nothing: a test's output is its own."""

        return _Http(("127.0.0.1", self.port), Handler)


def _of_opentelemetry(content: bytes) -> list[int]:
    exported = Parse(content, ExportLogsServiceRequest())
    return [
        plain_value(record.body)["metadata"]["sequence"]
        for resource in exported.resource_logs
        for scope in resource.scope_logs
        for record in scope.log_records
    ]


class SyslogListener(Listener):
    """RFC 5424 by octet counting, over TLS when ``trust`` is given."""

    def __init__(self, trust: ssl.SSLContext | None = None) -> None:
        super().__init__()
        self._trust = trust

    def _open(self) -> TCPServer:
        listener = self

        class Handler(BaseRequestHandler):
            def handle(self) -> None:
                connection = self.request
                with suppress(OSError):
                    if listener._trust is not None:
                        connection = listener._trust.wrap_socket(connection, server_side=True)
                    listener._connections.add(connection)
                    listener._take(connection)
                listener._connections.discard(connection)
                connection.close()

        return _Tcp(("127.0.0.1", self.port), Handler)

    def _take(self, connection: socket.socket) -> None:
        rest = b""
        while part := connection.recv(65_536):
            rest += part
            while (count := rest.partition(b" ")[0]).isdigit() and len(rest) > len(count) + int(count):
                start = len(count) + 1
                one, rest = rest[start : start + int(count)], rest[start + int(count) :]
                self.got.append(json.loads(one.partition(b"\xef\xbb\xbf")[2])["metadata"]["sequence"])


@contextmanager
def listening(*listeners: Listener) -> Iterator[None]:
    for listener in listeners:
        listener.up()
    try:
        yield
    finally:
        for listener in listeners:
            listener.down()
