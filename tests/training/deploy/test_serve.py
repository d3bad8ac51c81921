"""The program that serves the page on this machine: what it answers, and whom."""

import http.client
import socket
import threading

import numpy as np
import pytest

from tests.kit.made_generators import opened
from training.deploy.formats import DeployError
from training.deploy.serve import Server

pytestmark = pytest.mark.slow  # a graph is compiled


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    from training.explore.model import Model

    model = Model(opened("classes", tmp_path_factory.mktemp("served") / "model.npz"))
    with Server(model, {"title": "made"}, 0) as found:
        threading.Thread(target=found.serve_forever, daemon=True).start()
        yield found
        found.shutdown()


@pytest.fixture
def ask(server):
    """Sends a request; gives its status, kind and content."""

    def ask(method, path, body=None, **headers):
        line = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=60)
        line.request(method, path, body, {name.capitalize(): v for name, v in headers.items()})
        answer = line.getresponse()
        found = answer.status, answer.headers["Content-Type"], answer.read()
        line.close()
        return found

    return ask


def test_it_maps_and_draws(server, ask):
    model = server.model
    z, labels = model.latents([3]), model.labels([3], 1)
    status, _, data = ask("POST", "/map?label=1", z.tobytes())
    assert status == 200
    w = np.frombuffer(data, np.float32)[None]
    assert np.array_equal(w, model.mapped(z, labels))
    ws = np.repeat(w[:, None], 4, axis=1)
    for strength in (0, 1.5):
        status, _, data = ask("POST", f"/draw?noise={strength}", ws.tobytes())
        maps = [each * strength for each in model.generator.maps("const", 1)]
        assert status == 200 and data == model.pictures(ws, maps=maps).tobytes()


def test_it_gives_the_pages_files_alone(ask):
    kinds = {"/": "text/html", "/page.css": "text/css", "/page.js": "text/javascript"}
    for path, kind in kinds.items():
        status, found, _ = ask("GET", path)
        assert (status, found.replace("application", "text")) == (200, kind)
    assert ask("GET", "/about.json")[1:] == ("application/json", b'{"title": "made"}')
    for path in ("/../page.py", "/model.tflite", "/x"):
        assert ask("GET", path)[0] == 404


def test_it_answers_this_machine_and_this_page_alone(ask):
    assert ask("GET", "/", host="attacker.example")[0] == 404
    body = bytes(4 * 16)
    assert ask("POST", "/map?label=0", body, origin="http://attacker.example")[0] == 404
    assert ask("POST", "/map?label=0", body, origin="http://127.0.0.1:1")[0] == 404
    for nowhere in ("null", "http://localhost:999999", "http://[::1"):
        assert ask("POST", "/map?label=0", body, origin=nowhere)[0] == 404
    assert ask("POST", "/map?label=0", body)[0] == 200
    assert ask("GET", "/", host="LocalHost")[0] == 200


@pytest.mark.parametrize(
    ("path", "size"),
    [
        ("/map?label=3", 16),
        ("/map?label=-1", 16),
        ("/map?label=0.5", 16),
        ("/map?label=x", 16),
        ("/map", 16),
        ("/map?label=0", 15),
        ("/draw?noise=nan", 4 * 24),
        ("/draw?noise=2.1", 4 * 24),
    ],
)
def test_what_cannot_be_drawn_is_a_sentence(ask, path, size):
    status, kind, sentence = ask("POST", path, bytes(4 * size))
    assert status == 400 and kind.startswith("text/plain") and sentence


def test_numbers_that_are_none_are_refused(ask):
    body = np.full(4 * 24, np.nan, np.float32).tobytes()
    assert ask("POST", "/draw?noise=1", body)[0] == 400


def test_a_port_that_is_taken_is_one_sentence(server):
    with pytest.raises(DeployError, match=r"cannot be listened on \(.*choose another, or 0"):
        Server(server.model, {}, server.server_port)


def test_whoever_goes_away_or_names_no_place_leaves_no_traceback(server, capsys):
    head = f"Host: localhost:{server.server_port}\r\nContent-Length: 64\r\n\r\n"
    for first in ("POST /map?label=0", "POST http://[/map", "GET http://["):
        with socket.create_connection(("127.0.0.1", server.server_port), timeout=60) as line:
            line.sendall(f"{first} HTTP/1.1\r\n{head}".encode() + bytes(8))
            line.shutdown(socket.SHUT_WR)
            assert line.recv(12) in (b"HTTP/1.1 400", b"HTTP/1.1 404"), first
    assert "Traceback" not in capsys.readouterr().err
