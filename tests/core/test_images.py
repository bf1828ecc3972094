import pytest

from jupyterhub_backendai.core.images import Image, check_image
from jupyterhub_backendai.core.slots import ResourceSlots
from jupyterhub_backendai.i18n import explain
from tests.factories import GIB, make_slots

TORCH = Image(
    "torch",
    {"en": "PyTorch", "ko": "파이토치"},
    min_slots=ResourceSlots({"cpu": 2, "mem": 4 * GIB, "cuda.shares": "0.5"}),
    max_slots=ResourceSlots({"cpu": 8, "cuda.device": 0}),
)


@pytest.mark.parametrize(
    ("asked", "rules"),
    [
        ({"cpu": 2, "mem": 4 * GIB, "cuda.shares": "0.5"}, {}),
        ({"cpu": 8, "mem": 400 * GIB, "cuda.shares": 9}, {}),
        ({"cpu": 1, "mem": GIB}, {"cpu": "image-minimum", "mem": "image-minimum", "cuda.shares": "image-minimum"}),
        ({"cpu": 9, "mem": 4 * GIB, "cuda.shares": 1, "cuda.device": 1}, {"cpu": "image-maximum", "gpu": "image-maximum"}),
    ],
)
def test_every_slot_that_is_too_little_or_too_much_is_named(asked, rules):
    found = check_image(TORCH, ResourceSlots(asked))
    assert {violation.field: violation.rule for violation in found} == rules


def test_the_words():
    texts = [explain("en", violation) for violation in check_image(TORCH, make_slots(9, GIB, 1))]
    assert texts == [
        "The environment torch takes at most 8 of cpu; you asked for 9.",
        "The environment torch takes at most 0 of cuda.device; you asked for 1.",
        "The environment torch needs at least 0.5 of cuda.shares; you asked for 0.",
        "The environment torch needs at least 4 GiB of mem; you asked for 1 GiB.",
    ]
    assert [TORCH.label(language) for language in ("ko", "de")] == ["파이토치", "PyTorch"]


def test_an_image_without_bounds_takes_everything():
    assert check_image(Image("plain"), make_slots(9999)) == []
    assert check_image(Image("inf", max_slots=ResourceSlots({"cpu": "Infinity"})), make_slots(9999)) == []
