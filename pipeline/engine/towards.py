"""Addresses of schedulers: which can be one, who listens there, from where a machine reaches it."""

import re
import socket
import sys
from ipaddress import IPv6Address
from urllib.parse import urlsplit

from atelier.commands import UsageError, answered

FORM = re.compile(r"(?:tcp|tls)://(?:\[(.+)\]|([^\s/:@\[\]?#]+)):([0-9]{1,5})")
FORMS = "tcp://host:8786 or tls://host:8786"


def names_scheduler(text: str) -> bool:
    """Whether it names a host and a port; Dask waits for ever for some that cannot be."""
    found = FORM.fullmatch(text)
    if found is None or not 0 < int(found[3]) < 1 << 16:
        return False
    try:
        if found[1]:
            IPv6Address(found[1])
        else:
            found[2].encode("idna")  # as it is asked for: no part is empty or very long
    except ValueError:
        return False
    return True


def is_listening(scheduler: str, seconds: float) -> bool:
    """Whether anybody takes a connection there, whoever it is."""
    to = urlsplit(scheduler)
    try:
        socket.create_connection((to.hostname or "", to.port or 0), seconds).close()
    except OSError:
        return False
    return True


def own_address(scheduler: str) -> str:
    """The address of this machine on the network that leads there; raises UsageError."""
    if not names_scheduler(scheduler):
        raise UsageError(f"SCHEDULER = {scheduler}: give {FORMS}")
    to = urlsplit(scheduler)
    try:
        family, kind, protocol, _, at = socket.getaddrinfo(
            to.hostname, to.port, type=socket.SOCK_DGRAM
        )[0]
        with socket.socket(family, kind, protocol) as way:
            way.connect(at)  # which sends nothing
            return str(way.getsockname()[0])
    except OSError as error:
        raise UsageError(
            f"SCHEDULER = {scheduler}: this machine knows no way there ({error.strerror}): give the"
            " name or the address of the machine that the scheduler runs on"
        ) from None


def main() -> int:
    """For `make worker`: print where a worker is to listen."""

    def command() -> int:
        print(own_address(sys.argv[1]))
        return 0

    return answered(command, "stopped")
