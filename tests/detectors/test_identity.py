"""What a detector's finds are filed under: it stays as it is, or every photo is looked at again."""

import hashlib
import json

import pytest

import detectors
from detectors.packaged import YUNET

LABELS = "item { id: 1 name: 'portrait' }"
FILES = {
    "m.onnx": "onnx",
    "g.pb": "graph",
    "mapped/g.pb": "graph",
    "mapped/label_map.pbtxt": LABELS,
    "saved/saved_model.pb": "saved",
    "saved/variables/v": "values",
    "saved/assets/label_map.pbtxt": LABELS,
    "hub.tar.gz": "archive",
    "crop/saved_model/saved_model.pb": "saved",
    "crop/label_map.pbtxt": LABELS,
    "crop/detector.json": '{"long_side": 336}',
    "l.pbtxt": LABELS,
}
# Made by the code as it was when keys were first written to stores.
DIGESTS = {
    "haar": "f3c42e6ff417b031c6bb",
    "haar:profile": "fdd54c77ef6f9d10ac6e",
    "haar:upperbody": "91e9ce45713374237383",
    "haar?min_score=0.6&long_side=320&names=head": "e20e624805339999267d",
    "haar?face=2:0.5:0.5": "f3c42e6ff417b031c6bb",
    "yunet:{0}/m.onnx": "48fb609b039330880326",
    "yunet:{0}/m.onnx?min_score=0.9&face=1:0.5:0.5&long_side=640": "379c44cce993556562ed",
    "tfod:{0}/g.pb": "2042c83d86d447956613",
    "tfod:{0}/g.pb?labels={0}/l.pbtxt&min_score=0.3": "6c8ba9ef0774c951bc09",
    "tfod:{0}/g.pb?names=open hand|face&long_side=512": "bc85d655bc825a1d95a8",
    "tfod:{0}/mapped/g.pb": "f3790e19856b8ac38967",
    "tfod:{0}/saved": "2d3dd95f9ef5e9508937",
    "hub:{0}/saved": "87ffee94dab6099746c0",
    "hub:{0}/hub.tar.gz": "a028bd0aa85949d3e364",
    "hub:https://tfhub.dev/x/y/1": "51ba3b14349f5f2131f6",
    "hub:https://tfhub.dev/x/y/1?labels={0}/l.pbtxt&min_score=0.2": "f710e0d4324252f5e22a",
    "crop:{0}/crop": "793469956a0fce39f00d",
    "crop:{0}/crop?min_score=0.4&long_side=224&names=portrait": "7067a5e13919978a5717",
    "none": "f7bf608fe8dbb78bf0fa",
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    for name, text in FILES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


@pytest.mark.parametrize("text", DIGESTS)
def test_a_key_is_what_it_was(text, folder):
    known = detectors.identity(detectors.parse(text.format(folder)))
    told = json.dumps(known, sort_keys=True).encode()
    assert hashlib.blake2b(told, digest_size=10).hexdigest() == DIGESTS[text]


def test_the_packaged_model_is_known_without_being_there():
    known, haar = (detectors.identity(detectors.parse(text)) for text in ("yunet", "haar"))
    assert (known["model"], known["packaged"]) == (YUNET.digest, YUNET.version)
    assert known.keys() - haar.keys() == {"packaged"}


def test_keys_are_told_for_every_kind():
    assert {text.partition("?")[0].partition(":")[0] for text in DIGESTS} == {
        form.partition(":")[0] for form in detectors.FORMS.split(", ")
    }
