"""`python -m detectors`: train, export and evaluate a detector of one's own crop."""

import os
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from detectors.learning.cli import main

sys.exit(main())
