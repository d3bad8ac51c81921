"""The page of `page` on this machine alone, drawn by the generator itself, on its CPU or GPU.

    GET  /NAME           the page's files, and about.json
    POST /map?label=N    z, float32 -> w, float32
    POST /draw?noise=S   ws, float32 -> uint8 [height, width, channels]

It listens on the loopback address, and answers only what was asked of it by that name: another
site's page, open in the same browser, gets nothing.
"""

from __future__ import annotations

import json
import mimetypes
import sys
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import numpy as np

from training.deploy.formats import DeployError
from training.deploy.page import ABOUT, WEB

if TYPE_CHECKING:
    from training.explore.model import Model

HOST = "127.0.0.1"
NAMES = (HOST, "localhost")
STRONGEST = 2.0  # noise


class Server(ThreadingHTTPServer):
    """Answers requests of one page about one model; it draws one picture at a time."""

    daemon_threads = True

    def __init__(self, model: Model, about: dict[str, Any], port: int) -> None:
        self.model, self.lock = model, Lock()
        self.files = {f"/{path.name}": path.read_bytes() for path in WEB.iterdir()}
        self.files[f"/{ABOUT}"] = json.dumps(about).encode()
        self.files["/"] = self.files["/index.html"]
        try:
            super().__init__((HOST, port), Answer)
        except OSError as error:
            raise DeployError(
                f"port = {port}: it cannot be listened on ({error.strerror}): choose another, or 0"
                " for any that is free"
            ) from None

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A browser that no longer waits for an answer is no error."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)

    @property
    def address(self) -> str:
        """What to open in a browser."""
        return f"http://{HOST}:{self.server_port}"

    def mapped(self, z: Any, asked: dict[str, float]) -> bytes:
        """z -> w."""
        labels = np.zeros((1, self.model.config.labels), np.float32)
        if labels.size:
            labels[0, int(asked["label"])] = 1
        with self.lock:
            return bytes(self.model.mapped(z[None], labels).astype("<f4").tobytes())

    def drawn(self, numbers: Any, asked: dict[str, float]) -> bytes:
        """ws -> pixels, with so much of the model's own noise."""
        ws = numbers.reshape(1, self.model.config.rows, -1)
        with self.lock:
            maps = [each * asked["noise"] for each in self.model.generator.maps("const", 1)]
            return bytes(self.model.pictures(ws, maps=maps)[0].tobytes())


class Answer(BaseHTTPRequestHandler):
    """One request."""

    protocol_version = "HTTP/1.1"
    server: Server

    def do_GET(self) -> None:
        name, _, _ = self.path.partition("?")
        if not self.is_ours() or name not in self.server.files:
            return self.refuse(HTTPStatus.NOT_FOUND, f"there is no {name} here")
        kind = mimetypes.guess_type(name)[0] or "text/html"
        self.send(self.server.files[name], kind)

    def do_POST(self) -> None:
        config, (place, _, query) = self.server.model.config, self.path.partition("?")
        ways = {
            "/map": (self.server.mapped, int, "label", max(config.labels - 1, 0), config.z_dim),
            "/draw": (self.server.drawn, float, "noise", STRONGEST, config.rows * config.w_dim),
        }
        if not self.is_ours() or place not in ways:
            return self.refuse(HTTPStatus.NOT_FOUND, f"there is no {place} here")
        way, kind, name, most, count = ways[place]
        try:
            value = kind(parse_qs(query)[name][0])
            numbers = np.frombuffer(self.body(4 * count), "<f4")
        except (KeyError, ValueError):
            return self.refuse(HTTPStatus.BAD_REQUEST, f"give {name} and {count} floats")
        if not 0 <= value <= most or not np.isfinite(numbers).all():
            return self.refuse(HTTPStatus.BAD_REQUEST, f"{name} is from 0 to {most}")
        self.send(way(numbers, {name: value}), "application/octet-stream")

    def body(self, wanted: int) -> bytes:
        """What was sent, if it is as long as it has to be."""
        if int(self.headers.get("Content-Length", 0)) != wanted:
            raise ValueError
        if len(content := self.rfile.read(wanted)) != wanted:
            raise ValueError  # whoever sent it went away
        return content

    def is_ours(self) -> bool:
        """Whether it was asked by the name of this machine, and from this page."""
        name, _, _ = self.headers.get("Host", "").lower().partition(":")
        try:
            origin = urlsplit(self.headers.get("Origin", self.server.address))
            ours = origin.hostname in NAMES and origin.port == self.server.server_port
        except ValueError:  # no address at all
            return False
        return name in NAMES and ours

    def refuse(self, status: HTTPStatus, sentence: str) -> None:
        self.close_connection = True
        self.send(sentence.encode(), "text/plain; charset=utf-8", status)

    def send(self, data: bytes, kind: str, status: HTTPStatus = HTTPStatus.OK) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *arguments: Any) -> None:
        """Nothing: a picture a line would be many."""
