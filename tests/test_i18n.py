"""Every message of ours is there in Korean, with the same places."""

import re
from pathlib import Path

import pytest
from babel.messages.catalog import Message
from babel.messages.extract import extract_from_dir
from babel.messages.pofile import read_po

import jupyterhub_backendai
from jupyterhub_backendai.config import BackendAI
from jupyterhub_backendai.errors import InvalidParameters, NotFound, Violation
from jupyterhub_backendai.i18n import choose_language, explain, format_span, translate

ROOT = Path(jupyterhub_backendai.__file__).parent
METHODS = [("**/migrations/**", "ignore"), ("**.py", "python"), ("**.html", "jinja2")]
PLACES = re.compile(r"%\(\w+\)s|%%|%s|\{\w+\}")


def list_messages():
    keywords = {"_": None, "N_": None, "gettext": None, "ngettext": (1, 2)}
    options = {"**.html": {"trimmed": "true", "silent": "false"}}
    found = {}
    for path, line, message, *_ in extract_from_dir(ROOT, METHODS, options, keywords):
        for text in message if isinstance(message, tuple) else (message,):
            if text:
                found.setdefault(text, f"{path}:{line}")
    return found


def read_korean():
    """Messages by their text; both forms of a plural have the one that Korean has, which says the number as the plural does."""
    found = {}
    with (ROOT / "locale/ko/LC_MESSAGES/backendai.po").open("rb") as file:
        for message in read_po(file, locale="ko"):
            forms, said = ((message.id,), message.string) if isinstance(message.id, str) else (message.id, message.string[0])
            found |= {text: Message(forms[-1], said, flags=message.flags) for text in forms if text}
    return found


def test_every_message_is_there_in_korean():
    korean = read_korean()
    missing = {
        text: where for text, where in list_messages().items() if text not in korean or not korean[text].string or korean[text].fuzzy
    }
    assert missing == {}


def test_nothing_is_translated_that_nobody_says():
    assert set(read_korean()) - set(list_messages()) == set()


def test_translations_have_the_places_of_their_messages():
    wrong = {
        text: message.string
        for text, message in read_korean().items()
        if sorted(PLACES.findall(message.id)) != sorted(PLACES.findall(message.string))
    }
    assert wrong == {}


@pytest.mark.parametrize(
    ("kwargs", "language"),
    [
        ({"accept": "ko"}, "ko"),
        ({"accept": "ko-KR,ko;q=0.9,en-US;q=0.8"}, "ko"),
        ({"accept": "en;q=0.5,ko;q=0.9"}, "ko"),
        ({"accept": "de-DE,fr"}, "en"),
        ({"accept": "ko;q=x,;;,"}, "en"),
        ({"cookie": "ko", "accept": "en"}, "ko"),
        ({"account": "en", "cookie": "ko"}, "en"),
        ({"cookie": "../../etc", "accept": ""}, "en"),
    ],
)
def test_whose_word_counts(kwargs, language):
    assert choose_language(**kwargs) == language


def test_errors_are_explained_with_their_values():
    error = InvalidParameters(violations=[Violation("Give a whole number, at least %(lowest)s.", {"lowest": 2}, "cpu")])
    assert explain("ko", error) == "2 이상의 정수를 넣으십시오."
    assert explain("en", error) == "Give a whole number, at least 2."
    assert translate("ko", "100% nobody's message") == "100% nobody's message"


@pytest.mark.parametrize(
    ("seconds", "english", "korean"),
    [
        (0, "0 s", "0초"),
        (59, "59 s", "59초"),
        (3600, "1 h", "1시간"),
        (7500, "2 h 5 min", "2시간 5분"),
        (172800, "2 d", "2일"),
        (90061, "1 d 1 h", "1일 1시간"),
    ],
)
def test_lengths_of_time(seconds, english, korean):
    assert (format_span("en", seconds), format_span("ko", seconds)) == (english, korean)


def test_things_are_called_as_in_their_tables():
    missing = NotFound("There is no %(one)s %(key)s.", one="resource group", key="v100")
    assert explain("en", missing) == "There is no resource group v100."
    assert "resource group" not in explain("ko", missing)
    assert "자원 그룹" in explain("ko", missing)


def test_the_help_of_every_setting_is_marked_for_translation():
    marked = list_messages()
    assert [name for name, trait in BackendAI.class_traits(config=True).items() if trait.help and trait.help not in marked] == []
