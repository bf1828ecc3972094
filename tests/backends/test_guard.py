"""Names are judged by every address that they have at the moment of connecting."""

from __future__ import annotations

import socket

import aiohttp
import pytest
from aiohttp.abc import AbstractResolver

from jupyterhub_backendai.backends.guard import check_url, is_refusal, open_session
from jupyterhub_backendai.core.addresses import AddressRules, parse_networks
from jupyterhub_backendai.errors import AddressRefused

PUBLIC = "93.184.215.14"


class Names(AbstractResolver):
    """Answers with one set of addresses after the other, as the owner of a name can."""

    def __init__(self, *answers: list[str]) -> None:
        self.answers = list(answers)

    async def resolve(self, host, port=0, family=socket.AF_INET):
        return [
            {"hostname": host, "host": address, "port": port, "family": family, "proto": 0, "flags": 0} for address in self.answers.pop(0)
        ]

    async def close(self):
        pass


async def is_refused(rules: AddressRules, *answers: list[str], is_here: bool = False, url: str = "https://registry.example:1/") -> bool:
    """Whether asking a name whose addresses are these is refused; else it is connected to, and nobody listens there."""
    async with open_session(rules, is_here=is_here) as http:
        http.connector._resolver = Names(*answers)
        with pytest.raises(aiohttp.ClientConnectorError) as caught:
            await http.get(url, allow_redirects=False)
        return is_refusal(caught.value)


@pytest.mark.parametrize("address", ["127.0.0.1", "10.0.0.1", "169.254.169.254", "100.64.0.1", "0.0.0.0"])
async def test_a_name_that_leads_into_the_site_is_refused(address):
    assert await is_refused(AddressRules(), [address])
    assert await is_refused(AddressRules(), [address, "10.0.0.2"])


async def test_what_is_written_as_a_number_is_refused_too():
    for url in ("https://127.0.0.1:1/", "https://①②⑦.0.0.1:1/", "https://[::ffff:127.0.0.1]:1/"):
        assert await is_refused(AddressRules(), url=url)


async def test_a_network_of_the_site_and_this_machine_are_connected_to_for_who_named_them():
    rules = AddressRules(parse_networks(["127.0.0.0/8"]))
    assert not await is_refused(rules, ["127.0.0.1"])
    assert not await is_refused(AddressRules(), ["127.0.0.1"], is_here=True)
    denied = AddressRules(denied=parse_networks(["127.0.0.0/8"]))
    assert await is_refused(denied, ["127.0.0.1"], is_here=True)


@pytest.mark.parametrize("url", ["https://registry.example/v2/", f"https://{PUBLIC}:5000/"])
def test_addresses_that_are_fetched(url):
    check_url(url, AddressRules())


@pytest.mark.parametrize(
    "url",
    ["http://registry.example/", "http://127.0.0.1/", "https://127.0.0.1/", "https://user@registry.example/", "https://x/#y", "https://x:99999/", "ftp://x/", "https:///x", "https://x y/", "https://x/\r\nHost: y", "https://[::1", "https://①②⑦.0.0.1/", "https://x/" + "a" * 3000],
)  # fmt: skip
def test_addresses_that_are_refused(url):
    with pytest.raises(AddressRefused):
        check_url(url, AddressRules())


def test_this_machine_when_it_was_named():
    check_url("http://127.0.0.1:5000/v2/", AddressRules(), is_here=True)
    check_url("http://localhost:5000/v2/", AddressRules(), is_here=True)
    for url in ("http://registry.example/", "http://10.0.0.1/"):
        with pytest.raises(AddressRefused):
            check_url(url, AddressRules(), is_here=True)
