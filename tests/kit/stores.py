"""Object stores for tests: fsspec's memory, and moto's S3 server on this machine."""

import logging
from contextlib import contextmanager

import fsspec
import pytest

BUCKET = "photos-of-tests"
every_store = pytest.mark.parametrize(
    "far", ["memory", pytest.param("s3", marks=pytest.mark.slow)], indirect=True
)


@contextmanager
def moto():
    """An S3 server in a thread of this process; gives what FSSPEC_S3 is to hold of it."""
    from moto.server import ThreadedMotoServer

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    try:
        yield {"endpoint_url": f"http://{host}:{port}", "key": "made", "secret": "made"}
    finally:
        server.stop()


class Far:
    """A place in a store: what is put there, and how it is called."""

    def __init__(self, protocol, root):
        self.protocol, self.root = protocol, root
        self.system = fsspec.filesystem(protocol, use_listings_cache=False)

    @property
    def address(self):
        return f"{self.protocol}://{self.root}"

    def inside(self, name):
        return Far(self.protocol, f"{self.root}/{name}")

    def put(self, name, data):
        self.system.pipe(f"{self.root}/{name}", data)

    def put_folder(self, folder):
        for path in sorted(path for path in folder.rglob("*") if path.is_file()):
            self.put(path.relative_to(folder).as_posix(), path.read_bytes())
        return self

    def content(self):
        """Every object by its name, and its bytes."""
        found = self.system.find(self.root)
        start = len(self.system._strip_protocol(self.root)) + 1
        return {name[start:]: self.system.cat_file(name) for name in found}
