"""A signal asks for a stop; what runs ends in peace."""

import signal
from types import FrameType


class Interruption:
    """SIGTERM and Ctrl-C ask for a stop; a Ctrl-C after that ends the process at once.

    A second SIGTERM does not: one comes from the system for each thread of a parent that dies.
    """

    def __init__(self) -> None:
        self.signal = 0
        self.before: dict[int, object] = {}

    def __enter__(self) -> "Interruption":
        for number in (signal.SIGINT, signal.SIGTERM):
            self.before[number] = signal.signal(number, self.asked)
        return self

    def asked(self, number: int, frame: FrameType | None) -> None:
        if self.signal and number == signal.SIGINT:
            raise KeyboardInterrupt
        self.signal = number

    def __exit__(self, *_: object) -> None:
        for number, handler in self.before.items():
            signal.signal(number, handler)  # type: ignore[arg-type]
