"""The weights of a student's losses: by at least one of them it learns, at any time."""

from itertools import product

import pytest

from training.config import ConfigError
from training.student.options import configured

WEIGHTS = {  # whether it weighs from 0 to 5 kimg, and from there on
    "0": (False, False),
    "0.0": (False, False),
    "0:0, 5:0": (False, False),
    "0.01": (True, True),
    "0:0, 5:1": (False, True),
    "0:1, 5:0": (True, False),
}


@pytest.mark.parametrize(("one", "other"), list(product(WEIGHTS, WEIGHTS)))
def test_a_student_that_would_learn_nothing_is_refused(one, other):
    given = {"lambda_perceptual": one, "lambda_adversarial": other}
    if all(map(any, zip(WEIGHTS[one], WEIGHTS[other], strict=True))):
        configured(given, {})
        return
    with pytest.raises(ConfigError, match="teach a student nothing: raise one of them"):
        configured(given, {})
