"""Every kind of detector: what its row says, and what its module has."""

from importlib import import_module
from inspect import signature

import pytest

import detectors
from detectors.haar import CASCADES
from detectors.kinds import FORMS, KINDS

every_kind = pytest.mark.parametrize("name", KINDS)


def specs(name):
    """A detector of each form of a kind."""
    return [detectors.parse(form) for form in KINDS[name].forms]


@every_kind
def test_its_loader_takes_what_a_loader_is_given(name):
    module, _, loader = KINDS[name].loader.partition(":")
    given = signature(getattr(import_module(module), loader)).parameters.values()
    assert len([each for each in given if each.default is each.empty]) == 2


@every_kind
def test_its_forms_are_read_as_it(name):
    assert {spec.kind for spec in specs(name)} == {name}
    assert all(form in FORMS.split(", ") for form in KINDS[name].forms)


@every_kind
def test_its_labels_are_known_or_its_label_maps(name):
    for spec in specs(name):
        assert (detectors.findable(spec) is None) is KINDS[name].is_mapped


def test_what_a_cascade_finds_is_what_its_row_says():
    assert {name: (cascade.label,) for name, cascade in CASCADES.items()} == {
        name: model.labels for name, model in KINDS["haar"].models.items()
    }
