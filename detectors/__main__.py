"""`python -m detectors`: train, export and evaluate a detector of one's own crop."""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from atelier.stop import leave
from detectors.learning.cli import main

if __name__ == "__main__":
    leave(main())
