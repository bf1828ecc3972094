"""Public SSH keys: what is one, what is none."""

import base64
import itertools
import struct

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from jupyterhub_backendai.core.ssh_keys import parse_ssh_key
from jupyterhub_backendai.errors import InvalidParameters


def line_of(private):
    return private.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()


ED25519 = line_of(ed25519.Ed25519PrivateKey.generate())
EC = [line_of(ec.generate_private_key(curve)) for curve in (ec.SECP256R1(), ec.SECP384R1(), ec.SECP521R1())]
RSA = line_of(rsa.generate_private_key(65537, 2048))


def pack(*parts):
    return base64.b64encode(b"".join(struct.pack(">I", len(part)) + part for part in parts)).decode()


SK = "sk-ssh-ed25519@openssh.com " + pack(b"sk-ssh-ed25519@openssh.com", bytes(32), b"ssh:")


@pytest.mark.parametrize("line", [ED25519, RSA, *EC, SK], ids=itertools.count())
def test_keys_are_read(line):
    key = parse_ssh_key(f"  {line}  kim01@lab  home \n")
    assert key.line == f"{line} kim01@lab home"
    assert parse_ssh_key(key.line) == key


def test_the_fingerprint_is_that_of_ssh_keygen():
    # A well-known host key and the fingerprint that its owner publishes.
    key = parse_ssh_key("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl")
    assert key.fingerprint == "SHA256:+DiY3wvvV6TuJJhbpZisF/zLDA0zPMSvHdkr4UvCOqU"


SHORT_RSA = "ssh-rsa " + pack(b"ssh-rsa", b"\x01\x00\x01", b"\x00" + b"\xff" * 128)
BODY = ED25519.split()[1]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "not a public SSH key"),
        ("ssh-ed25519", "not a public SSH key"),
        ("ssh-ed25519 AAAA", "not a public SSH key"),
        ("ssh-ed25519 " + BODY[:-8], "not a public SSH key"),
        ("ssh-ed25519 " + BODY + "!", "not a public SSH key"),
        ("ssh-rsa " + BODY, "not a public SSH key"),
        ("ssh-ed25519 " + pack(b"ssh-ed25519", bytes(31)), "not a public SSH key"),
        ("ssh-ed25519 " + pack(b"ssh-ed25519", bytes(32), b"more"), "not a public SSH key"),
        ("ssh-ed25519 " + pack(b"ssh-ed25519"), "not a public SSH key"),
        ("ssh-rsa " + pack(b"ssh-rsa", b"\x03"), "not a public SSH key"),
        ("ecdsa-sha2-nistp256 " + pack(b"ecdsa-sha2-nistp256", b"nistp384", b"\x04" + bytes(96)), "not a public SSH key"),
        ("ecdsa-sha2-nistp256 " + pack(b"ecdsa-sha2-nistp256", b"nistp256", b"\x02" + bytes(64)), "not a public SSH key"),
        (f"{ED25519}\n{ED25519}", "not a public SSH key"),
        ("x" * 9000, "not a public SSH key"),
        ("-----BEGIN OPENSSH PRIVATE KEY-----\nb3Blbn\n", "private key"),
        (SHORT_RSA, "1024 bits"),
        (f'command="sh" {ED25519}', "not taken"),
        ("ssh-dss " + pack(b"ssh-dss"), "not taken"),
        (f"no-pty {ED25519}", "not taken"),
    ],
    ids=itertools.count(),
)
def test_what_is_no_key(text, words):
    with pytest.raises(InvalidParameters) as caught:
        parse_ssh_key(text)
    assert words in str(caught.value)
    assert caught.value.violations[0].field == "ssh_public_key"


def test_a_comment_has_no_control_characters():
    assert parse_ssh_key(f"{ED25519} kim\x1b[31m01").comment == ""
