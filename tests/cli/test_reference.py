import re
from pathlib import Path

from jupyterhub_backendai.cli.reference import format_reference

DOCS = Path(__file__).resolve().parents[2] / "docs"


def test_the_page_of_settings_is_current():
    """``jupyterhub-backendai config reference > docs/configuration.md``"""
    assert (DOCS / "configuration.md").read_text() == format_reference()


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
