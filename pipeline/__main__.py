"""`python -m pipeline`."""

from atelier.stop import leave
from pipeline.cli import main

if __name__ == "__main__":
    leave(main())
