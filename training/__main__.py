"""`python -m training`: train, generate, film."""

import os
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from training import cuda
from training.cli import main

cuda.prepare()  # no command has imported TensorFlow yet
sys.exit(main())
