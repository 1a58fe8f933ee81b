"""Keys: what imgtool and openssl say of them is the truth."""
# SPDX-License-Identifier: MIT

import base64
import hashlib
import stat

import imgtool.keys
import pytest

from mpota import keys
from mpota.errors import ToolError

from .helpers import console_script, mpota, mpota_json, tool


@pytest.mark.parametrize("name", ["image", "image3072"])
def test_key_hash_equals_imgtools(shelf, tmp_path, name):
    out = tmp_path / "hash"
    path = shelf / f"{name}.pem"
    done = tool(console_script("imgtool"), "getpubhash", "-e", "raw", "-k", path, "-o", out)
    assert done.returncode == 0, done.stderr
    assert mpota_json("key", "show", path)["key_hash"] == out.read_bytes().hex()


@pytest.mark.parametrize("name", ["image", "image3072"])
def test_der_is_what_openssl_calls_rsa_public_key(shelf, tmp_path, name):
    ours, theirs = tmp_path / "ours.der", tmp_path / "theirs.der"
    path = shelf / f"{name}.pem"
    assert mpota("key", "show", path, "--der", ours).returncode == 0
    done = tool("openssl", "rsa", "-in", path, "-RSAPublicKey_out", "-outform", "DER", "-out", theirs)
    assert done.returncode == 0, done.stderr
    assert ours.read_bytes() == theirs.read_bytes()


def test_source_forms_hold_the_der(shelf):
    key = keys.load(shelf / "image.pem")
    names = {}
    exec(mpota("key", "show", shelf / "image.pem", "--emit", "python").stdout, names)  # noqa: S102
    assert names["PUBLIC_KEY"] == keys.public_der(key)
    source = mpota("key", "show", shelf / "image.pem", "--emit", "c").stdout
    listed = source.partition("{")[2].partition("}")[0]
    assert bytes(int(number, 16) for number in listed.replace(",", " ").split()) == keys.public_der(key)


def test_new_key_is_readable_by_its_owner_only_and_by_openssl(tmp_path):
    path = tmp_path / "key.pem"
    assert mpota("key", "new", path, "--bits", "3072").returncode == 0
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert "3072 bit" in tool("openssl", "rsa", "-in", path, "-noout", "-text").stdout


def test_new_key_never_replaces_a_file(tmp_path):
    path = tmp_path / "key.pem"
    path.write_text("precious")
    done = mpota("key", "new", path)
    assert (done.returncode, done.stderr) == (1, f"mpota: {path}: File exists\n")
    assert path.read_text() == "precious"


def test_public_key_can_be_shown_but_cannot_sign(shelf, tmp_path):
    path = tmp_path / "public.pem"
    keys.load(shelf / "image.pem").export_public(path)
    assert keys.key_hash(keys.load(path)) == keys.key_hash(keys.load(shelf / "image.pem"))
    with pytest.raises(ToolError, match="a public key cannot sign"):
        keys.load_private(path)


@pytest.mark.parametrize("algorithm", ["sha256", "md5"])
def test_openssl_verifies_digestsign(shelf, tmp_path, algorithm):
    digest = hashlib.new(algorithm, b"artifact").digest()
    (tmp_path / "digest").write_bytes(digest)
    key = keys.load_digest_key(shelf / "digest.pem")
    (tmp_path / "signature").write_bytes(base64.b64decode(keys.sign_digest(key, digest), validate=True))
    key.export_public(tmp_path / "public.pem")
    command = "openssl", "dgst", "-sha256", "-verify", "public.pem", "-signature", "signature", "digest"
    assert tool(*command, cwd=tmp_path).stdout == "Verified OK\n"


def test_openssl_signs_the_same_digestsign(shelf, tmp_path):
    (tmp_path / "digest").write_bytes(bytes(32))
    command = "openssl", "dgst", "-sha256", "-sign", shelf / "digest.pem", "-out", tmp_path / "signature", tmp_path / "digest"
    assert tool(*command).returncode == 0
    ours = keys.sign_digest(keys.load_digest_key(shelf / "digest.pem"), bytes(32))
    assert base64.b64decode(ours) == (tmp_path / "signature").read_bytes()


def test_digestsign_needs_2048_bits(shelf):
    with pytest.raises(ToolError, match="needs a key of 2048 bits"):
        keys.load_digest_key(shelf / "image3072.pem")


def test_unusable_key_files_are_named(shelf, tmp_path):
    imgtool.keys.ECDSA256P1.generate().export_private(tmp_path / "ec.pem")
    keys.load(shelf / "image.pem").export_private(tmp_path / "locked.pem", b"secret")
    tool("openssl", "genrsa", "-out", tmp_path / "small.pem", "1024")
    (tmp_path / "junk.pem").write_bytes(b"\xff" * 100)
    reasons = {
        "ec.pem": "not an RSA key",
        "locked.pem": "passphrase",
        "small.pem": "2048 or 3072 bits",
        "junk.pem": "not a key in PEM format",
        "missing.pem": "No such file or directory",
        "/dev/zero": "not a key in PEM format",
    }
    for name, reason in reasons.items():
        with pytest.raises(ToolError, match=reason) as caught:
            keys.load(tmp_path / name)
        assert caught.value.path == str(tmp_path / name)


def test_key_is_not_written_over(tmp_path, build):
    path = tmp_path / "image.pem"
    keys.create(path, 2048)
    before = path.read_bytes()
    (tmp_path / "payload").write_bytes(b"program " * 10)
    commands = [("key", "show", path, "--der", path), ("image", "sign", build("1.0.0"), path, "--key", path),
                ("image", "build", tmp_path / "payload", path, "--board", "esp8266", "--product", "a1B2c3D4e5F", "--version", "1.0.0",
                 "--counter", "1", "--key", path)]  # fmt: skip
    for command in commands:
        done = mpota(*command)
        assert done.returncode == 1 and done.stderr == f"mpota: {path}: would be written over, and it is read\n", done
        assert path.read_bytes() == before
