"""The weights of a student's losses: by at least one of them it learns."""

from itertools import product

import pytest

from training.config import ConfigError
from training.student.options import configured

WEIGHTS = {"0": False, "0.0": False, "0:0, 5:0": False, "0.01": True, "0:0, 5:1": True}


@pytest.mark.parametrize(("one", "other"), list(product(WEIGHTS, WEIGHTS)))
def test_a_student_that_would_learn_nothing_is_refused(one, other):
    given = {"lambda_perceptual": one, "lambda_adversarial": other}
    if WEIGHTS[one] or WEIGHTS[other]:
        configured(given, {})
        return
    with pytest.raises(ConfigError, match="teach a student nothing: raise one of them"):
        configured(given, {})
