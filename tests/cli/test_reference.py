import re
from pathlib import Path

import pytest

from jupyterhub_backendai.cli.main import build_parser
from jupyterhub_backendai.cli.reference import format_nouns, format_reference
from jupyterhub_backendai.services.app import join_handlers

DOCS = Path(__file__).resolve().parents[2] / "docs"


def test_the_page_of_settings_is_current():
    """``jupyterhub-backendai config reference > docs/configuration.md``"""
    assert (DOCS / "configuration.md").read_text() == format_reference()


def test_the_page_of_what_is_administered_is_current():
    """``jupyterhub-backendai config nouns > docs/nouns.md``"""
    assert (DOCS / "nouns.md").read_text() == format_nouns()


@pytest.mark.parametrize("page", [DOCS / "rest.md", DOCS / "rest.ko.md"], ids=["en", "ko"])
def test_every_address_of_our_rest_interface_is_described(page):
    paths = [route[0] for route in join_handlers("default_handlers") if route[0].startswith("rest/v1/")]
    # what stands for a part of an address is <in brackets> on the page
    names = {re.sub(r"\([^)]*\)", "<>", path.removeprefix("rest/v1/")) for path in paths}
    described = {re.sub(r"<[^>]*>", "<>", name) for name in re.findall(r"`(?:[A-Z]+ )?([a-z/<>_-]+)", page.read_text())}
    assert names - described == set()


def test_every_command_is_described():
    text = (DOCS / "cli.md").read_text() + (DOCS / "nouns.md").read_text()
    (commands,) = (action.choices for action in build_parser()._actions if isinstance(action.choices, dict))
    assert [name for name in commands if f"`{name}" not in text] == []


def test_links_between_the_pages_lead_somewhere():
    root = DOCS.parent
    pages = [*root.glob("*.md"), *DOCS.glob("*.md")]
    dead = [
        f"{page.name}: {target}"
        for page in pages
        for target in re.findall(r"\]\((?!https?:)([^)#]+)\)", page.read_text())
        if not (page.parent / target).exists()
    ]
    assert dead == []
