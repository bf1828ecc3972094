"""Puts pip into the virtual environment that runs this, for machines with Debian's ``python3`` alone.

``venv`` works there, but the package with pip's wheel is not installed. Downloading that package needs no root. Where pip is
configured with a package index of its own, the wheel comes from there.
"""

import configparser
import hashlib
import html
import os
import re
import ssl
import subprocess
import sys
import tempfile
import urllib.parse
import urllib.request
from pathlib import Path

PACKAGE = "python3-pip-whl"
WHEEL = re.compile(r'href="([^"]+/(pip-([0-9.]+)-py3-none-any\.whl)#sha256=([0-9a-f]{64}))"')


def read_setting(name):
    """A setting of pip's: from the environment, then the user's and the machine's pip.conf."""
    value = os.environ.get("PIP_" + name.upper().replace("-", "_"))
    home = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config")
    files = [
        os.environ.get("PIP_CONFIG_FILE"),
        home / "pip/pip.conf",
        Path.home() / ".pip/pip.conf",
        "/etc/pip.conf",
        "/etc/xdg/pip/pip.conf",
    ]
    for file in files:
        if value or not file:
            continue
        parser = configparser.RawConfigParser()
        parser.read(file)
        value = parser.get("global", name, fallback=None)
    return value


def open_url(url):
    authority = read_setting("cert") or os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("SSL_CERT_FILE")
    context = ssl.create_default_context(cafile=authority) if authority else ssl.create_default_context()
    return urllib.request.urlopen(urllib.request.Request(url, headers={"Accept": "text/html"}), timeout=60, context=context)


def find_wheel(index):
    """Address, file name and SHA-256 of the newest pip on an index."""
    page = f"{index.rstrip('/')}/pip/"
    with open_url(page) as answer:
        found = WHEEL.findall(html.unescape(answer.read().decode()))
    if not found:
        raise LookupError(f"no pip at {page}")
    link, name, _, digest = max(found, key=lambda item: [int(part) for part in item[2].split(".") if part])
    return urllib.parse.urljoin(page, link), name, digest


def fetch_from_index(index, directory):
    url, name, digest = find_wheel(index)
    wheel = Path(directory, name)
    with open_url(url) as answer:
        wheel.write_bytes(answer.read())
    if hashlib.sha256(wheel.read_bytes()).hexdigest() != digest:
        raise ValueError(f"{name} is not what the index says")
    return wheel


def fetch_from_distribution(directory):
    """The wheel in the distribution's own package, by lists and a cache of ours: apt checks the signatures."""
    apt = ["apt-get", "-qq", "-o", f"Dir::State::Lists={directory}/lists", "-o", f"Dir::Cache={directory}/cache"]
    Path(directory, "lists/partial").mkdir(parents=True)
    Path(directory, "cache/archives/partial").mkdir(parents=True)
    for verb in (["update"], ["download", PACKAGE]):
        subprocess.run([*apt, *verb], check=True, cwd=directory, stdout=subprocess.DEVNULL)
    package = next(Path(directory).glob(f"{PACKAGE}_*.deb"))
    subprocess.run(["dpkg-deb", "--extract", package, f"{directory}/package"], check=True)
    return next(Path(directory, "package").glob("usr/share/python-wheels/pip-*.whl"))


def main():
    with tempfile.TemporaryDirectory() as directory:
        index = read_setting("index-url")
        wheel = fetch_from_index(index, directory) if index else fetch_from_distribution(directory)
        # pip runs from its own wheel to install itself
        subprocess.run(
            [sys.executable, f"{wheel}/pip", "install", "-q", "--no-index", "--disable-pip-version-check", str(wheel)], check=True
        )


if __name__ == "__main__":
    try:
        main()
    except (OSError, LookupError, StopIteration, ValueError, subprocess.SubprocessError) as exc:
        sys.exit(f"pip could not be fetched: {exc}")
