from ipaddress import ip_address

import pytest

from jupyterhub_backendai.core.addresses import AddressRules, is_own_machine, is_public, parse_address, parse_networks, unwrap


@pytest.mark.parametrize(
    "text", ["93.184.215.14", "2606:2800:21f:cb07:6820:80da:af6b:8b2c", "::ffff:8.8.8.8", "64:ff9b::808:808", "2002:808:808::"]
)
def test_addresses_of_the_internet(text):
    assert is_public(ip_address(text))


@pytest.mark.parametrize(
    "text",
    ["0.0.0.0", "10.1.1.1", "100.64.0.1", "127.0.0.1", "169.254.169.254", "172.16.0.1", "192.168.0.1", "198.18.0.1", "224.0.0.1", "240.0.0.1", "255.255.255.255", "::", "::1", "::127.0.0.1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "64:ff9b::7f00:1", "64:ff9b:1::7f00:1", "2002:7f00:1::", "fd00:ec2::254", "fe80::1", "fec0::1", "ff02::1", "2001:db8::1"],
)  # fmt: skip
def test_addresses_that_are_not(text):
    assert not is_public(ip_address(text))
    assert not AddressRules().permits(ip_address(text))


def test_what_the_site_says_comes_first():
    rules = AddressRules(parse_networks(["10.20.0.0/16", "127.0.0.1", "fd00::/8"]), parse_networks(["10.20.9.0/24", "8.8.8.8"]))
    for text, expected in (
        ("10.20.1.1", True),
        ("10.20.9.1", False),
        ("10.21.0.1", False),
        ("8.8.8.8", False),
        ("127.0.0.1", True),
        ("fd00::1", True),
    ):
        assert rules.permits(ip_address(text)) is expected
    # an address of IPv4 in one of IPv6 is the same address
    assert not rules.permits(ip_address("::ffff:10.20.9.1"))
    assert rules.permits(ip_address("::ffff:10.20.1.1"))


def test_this_machine_only_for_who_named_it():
    assert AddressRules().permits(ip_address("127.0.0.1"), is_own_machine_named=True)
    assert not AddressRules().permits(ip_address("10.0.0.1"), is_own_machine_named=True)
    assert not AddressRules(denied=parse_networks(["127.0.0.0/8"])).permits(ip_address("127.0.0.1"), is_own_machine_named=True)


@pytest.mark.parametrize(("host", "expected"), [("localhost", True), ("127.0.0.1", True), ("127.9.9.9", True), ("[::1]", True), ("::1", True), ("x.localhost", False), ("10.0.0.1", False), ("127.0.0.1.example", False)])  # fmt: skip
def test_whether_this_machine_was_written(host, expected):
    assert is_own_machine(host) is expected


def test_addresses_and_names():
    assert parse_address("[fe80::1%eth0]") == ip_address("fe80::1")
    assert parse_address("registry.example") is None
    assert unwrap(ip_address("2002:0a00:0001::")) == ip_address("10.0.0.1")
    with pytest.raises(ValueError, match="host bits"):
        parse_networks(["10.0.0.1/8"])
