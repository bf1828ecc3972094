import re

import pytest
from bs4 import BeautifulSoup
from jinja2 import ChoiceLoader, Environment, FileSystemLoader, PrefixLoader
from tornado.httputil import HTTPHeaders, HTTPServerRequest, RequestStartLine
from tornado.web import Application, RequestHandler

from jupyterhub_backendai import templating
from jupyterhub_backendai.i18n import COOKIE, translate

HUB_PAGES = sorted(path.name for path in templating.HUB_TEMPLATES.glob("*.html"))


class HubPage(RequestHandler):
    """As much of a handler of the hub as its templates are given: a bound ``static_url``."""

    def static_url(self, path, include_version=True):
        return f"/hub/static/{path}"


class _Connection:
    context = None

    def set_close_callback(self, callback):
        pass


def make_page(cookie="", accept="", uri="/hub/home"):
    headers = {"Host": "hub.test", "Accept-Language": accept, **({"Cookie": f"{COOKIE}={cookie}"} if cookie else {})}
    request = HTTPServerRequest(start_line=RequestStartLine("GET", uri, "HTTP/1.1"), headers=HTTPHeaders(headers), connection=_Connection())
    return HubPage(Application(), request)


def make_hub_environment():
    """As the hub makes it."""
    hub = FileSystemLoader(str(templating.HUB_TEMPLATES))
    ours = FileSystemLoader([str(templating.TEMPLATES), str(templating.HUB_TEMPLATES)])
    return Environment(
        loader=ChoiceLoader([PrefixLoader({"templates": hub}, "/"), ours]),
        autoescape=True,
        extensions=["jupyterhub_backendai.templating.Pages"],
    )


def render(handler, template="error.html", **values):
    namespace = {"base_url": "/hub/", "prefix": "/", "static_url": handler.static_url, "xsrf_token": "x", "parsed_scopes": (), **values}
    return BeautifulSoup(make_hub_environment().get_template(template).render(**namespace), "html.parser")


@pytest.mark.parametrize(
    ("cookie", "accept", "language"),
    [("ko", "en", "ko"), ("", "ko-KR,ko;q=0.9,en;q=0.8", "ko"), ("", "fr", "en"), ("xx", "", "en"), ("en", "ko", "en")],
)
def test_a_hub_page_speaks_the_readers_language(cookie, accept, language):
    page = render(make_page(cookie, accept), status_code=404)
    assert page.html["lang"] == language
    assert page.h1.text.strip() == {"en": "That did not work", "ko": "처리하지 못했습니다"}[language]


def test_every_script_has_the_nonce_that_the_policy_names():
    handler = make_page()
    page = render(handler, status_code=404)
    policy = handler._headers["Content-Security-Policy"]
    nonce = re.search(r"'nonce-([^']+)'", policy)[1]
    scripts = page.find_all("script")
    assert len(scripts) > 3
    assert {script["nonce"] for script in scripts} == {nonce}
    assert "script-src 'self' 'nonce-" in policy
    assert "frame-ancestors 'none'" in policy
    assert policy.endswith("report-uri /hub/security/csp-report")
    assert render(make_page(), status_code=404).script["nonce"] != nonce


def test_no_page_demands_scripts():
    assert "requires JavaScript" not in str(render(make_page(), status_code=404))


@pytest.mark.parametrize("name", HUB_PAGES)
def test_every_template_of_the_hub_still_compiles(name):
    environment = make_hub_environment()
    environment.get_template(f"templates/{name}")
    environment.get_template(name)
    source, path, _ = environment.loader.get_source(environment, f"templates/{name}")
    edited = environment.preprocess(source, name, path)
    assert not re.search(r"<script(?! nonce)", edited)


def test_the_edits_still_find_what_they_edit():
    source = (templating.HUB_TEMPLATES / "page.html").read_text()
    for text in ('<html lang="en">', "<noscript>", 'alt="JupyterHub logo"', 'aria-label="Toggle navigation"', 'id="dark-theme-toggle"'):
        assert text in source


def test_text_of_others_is_escaped():
    page = render(make_page(), status_code=400, message="<script>alert(1)</script>")
    assert page.find(class_="lead").text == "<script>alert(1)</script>"


def test_an_asset_changes_with_its_file():
    html = str(render(make_page(), status_code=404))
    assert re.search(r"/services/backendai/static/css/backendai\.css\?v=[0-9a-f]{12}", html)


def test_the_words_that_are_not_seen_are_translated_too():
    page = render(make_page("ko"), "templates/page.html", user={"name": "kim01"}, no_spawner_check=True)
    box = page.select_one("#error-dialog")  # the hub's script looks for it by this name
    words = [page.select_one(".navbar-toggler")["aria-label"], page.select_one(".jpy-logo")["title"]]
    words += [box.select_one(".btn-close")["aria-label"], box.h2.text.strip(), box.select_one(".modal-footer button").text.strip()]
    assert words == [translate("ko", word) for word in ("Menu", "Home", "Close", "Error", "OK")]
    assert box.select_one(".ajax-error").text.strip() == ""
