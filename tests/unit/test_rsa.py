"""Signatures by cryptography and openssl, and forgeries made with the private key."""

import functools
import hashlib
import random
import subprocess

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, utils

import otacore
from otacore import KEYS, PKCS1, PSS, private_key, public_der, rsa_verify

E_SIGNATURE, E_KEY_FORMAT = 1007, 1011
HASH = hashlib.sha256(b"a message").digest()
SHA256_INFO = bytes.fromhex("3031300d060960864801650304020105000420")
LIMBS = pytest.mark.parametrize("limb_bits", [16, 32])
ALL_KEYS = pytest.mark.parametrize("key", ["test-rsa2048", "test-rsa2048-e3", "test-rsa3072"])


def sign(pad, key="test-rsa2048", digest=HASH):
    return private_key(key).sign(digest, pad, utils.Prehashed(hashes.SHA256()))


def pss(salt=32, key="test-rsa2048", digest=HASH):
    return sign(padding.PSS(padding.MGF1(hashes.SHA256()), salt), key, digest)


def pkcs1(key="test-rsa2048", digest=HASH):
    return sign(padding.PKCS1v15(), key, digest)


def raw_sign(em, key="test-rsa2048"):
    """em ^ d, whatever em is."""
    k = private_key(key).private_numbers()
    m = int.from_bytes(em, "big")
    mod_q = pow(m, k.dmq1, k.q)
    sig = mod_q + k.q * ((pow(m, k.dmp1, k.p) - mod_q) * k.iqmp % k.p)
    return sig.to_bytes(k.public_numbers.n.bit_length() // 8, "big")


def mgf1(seed, n):
    return b"".join(hashlib.sha256(seed + i.to_bytes(4, "big")).digest() for i in range(n // 32 + 1))[:n]


def pss_encoding(marker=1, zeros=None, trailer=0xBC, top=0, salt=bytes(32)):
    h = hashlib.sha256(bytes(8) + HASH + salt).digest()
    zeros = bytes(223 - 33) if zeros is None else zeros
    db = zeros + bytes([marker]) + salt
    masked = bytearray(a ^ b for a, b in zip(db, mgf1(h, len(db))))
    masked[0] = masked[0] & 0x7F | top
    return bytes(masked) + h + bytes([trailer])


def pkcs1_encoding(info=SHA256_INFO, digest=HASH, start=b"\0\1", filler=b"\xff", behind=b""):
    tail = b"\0" + info + digest + behind
    return start + filler * (256 - len(start) - len(tail)) + tail


def der_integer(value, extra=b""):
    body = extra + value.to_bytes(value.bit_length() // 8 + 1, "big")
    return b"\2" + der_length(len(body)) + body


def der_length(n):
    return bytes([n]) if n < 0x80 else bytes([0x82]) + n.to_bytes(2, "big") if n > 0xFF else bytes([0x81, n])


def der_sequence(body):
    return b"\x30" + der_length(len(body)) + body


def der_key(n, e):
    return der_sequence(der_integer(n) + der_integer(e))


@LIMBS
@ALL_KEYS
def test_signatures_of_both_paddings_are_accepted(limb_bits, key):
    assert rsa_verify(public_der(key), PKCS1, HASH, pkcs1(key), limb_bits) == 0
    assert rsa_verify(public_der(key), PSS, HASH, pss(key=key), limb_bits) == 0


@pytest.mark.parametrize("option,kind", [(("rsa_padding_mode:pkcs1",), PKCS1),
                                         (("rsa_padding_mode:pss", "rsa_pss_saltlen:32"), PSS)])
def test_signatures_by_openssl_are_accepted(option, kind, tmp_path):
    (tmp_path / "hash").write_bytes(HASH)
    options = [arg for name in ("digest:sha256", *option) for arg in ("-pkeyopt", name)]
    sig = subprocess.run(["openssl", "pkeyutl", "-sign", "-inkey", str(KEYS / "test-rsa2048.pem"), "-in",
                          str(tmp_path / "hash"), *options], check=True, capture_output=True).stdout
    assert rsa_verify(public_der(), kind, HASH, sig) == 0


def test_one_padding_does_not_pass_for_the_other():
    assert rsa_verify(public_der(), PSS, HASH, pkcs1()) == E_SIGNATURE
    assert rsa_verify(public_der(), PKCS1, HASH, pss()) == E_SIGNATURE
    assert rsa_verify(public_der(), 0, HASH, pss()) == E_SIGNATURE


@pytest.mark.parametrize("kind", [PKCS1, PSS])
def test_another_hash_is_refused(kind):
    sig = pkcs1() if kind == PKCS1 else pss()
    for i in range(32):
        other = bytearray(HASH)
        other[i] ^= 1 << i % 8
        assert rsa_verify(public_der(), kind, bytes(other), sig) == E_SIGNATURE


@pytest.mark.parametrize("kind", [PKCS1, PSS])
def test_one_flipped_bit_of_the_signature_is_refused(kind):
    sig = pkcs1() if kind == PKCS1 else pss()
    for i in range(256):
        other = bytearray(sig)
        other[i] ^= 1 << i % 8
        assert rsa_verify(public_der(), kind, HASH, bytes(other)) == E_SIGNATURE


def test_signature_by_another_key_is_refused():
    assert rsa_verify(public_der("test-rsa2048-foreign"), PSS, HASH, pss()) == E_SIGNATURE
    assert rsa_verify(public_der("test-rsa3072"), PSS, HASH, pss()) == E_SIGNATURE


@pytest.mark.parametrize("salt", [0, 20, 31, 33, 64, 222])
def test_pss_salt_of_another_length_is_refused(salt):
    assert rsa_verify(public_der(), PSS, HASH, pss(salt)) == E_SIGNATURE


def test_signature_with_bytes_too_many_or_too_few_is_refused():
    for kind, sig in ((PKCS1, pkcs1()), (PSS, pss())):
        for other in (sig + b"\0", b"\0" + sig, sig[:-1], sig[1:], b"", sig + sig):
            assert rsa_verify(public_der(), kind, HASH, other) == E_SIGNATURE


@LIMBS
def test_signature_value_not_below_the_modulus_is_refused(limb_bits):
    n = private_key().private_numbers().public_numbers.n
    fitting = None
    for i in range(1000):
        digest = hashlib.sha256(bytes([i & 255, i >> 8])).digest()
        value = int.from_bytes(pkcs1(digest=digest), "big")
        if value + n < 1 << 2048:
            fitting = digest, (value + n).to_bytes(256, "big")
            break
    assert fitting
    assert rsa_verify(public_der(), PKCS1, *fitting, limb_bits) == E_SIGNATURE
    for value in (n, n + 1, (1 << 2048) - 1):
        assert rsa_verify(public_der(), PKCS1, HASH, value.to_bytes(256, "big"), limb_bits) == E_SIGNATURE


@LIMBS
def test_trivial_signature_values_are_refused(limb_bits):
    n = private_key().private_numbers().public_numbers.n
    for value in (0, 1, 2, n - 1):
        for kind in (PKCS1, PSS):
            assert rsa_verify(public_der(), kind, HASH, value.to_bytes(256, "big"), limb_bits) == E_SIGNATURE


@pytest.mark.parametrize("wrong", [
    {"start": b"\0\2"}, {"start": b"\0\0"}, {"start": b"\1\1"}, {"filler": b"\xfe"}, {"filler": b"\0"},
    {"info": bytes.fromhex("302f300b0609608648016503040201") + b"\x04\x20"},             # no NULL
    {"info": bytes.fromhex("3031300d060960864801650304020305000420")},                   # SHA-512's name
    {"info": b""}, {"digest": HASH[:31], "behind": b"\0"}, {"behind": b"\0"}, {"behind": bytes(200)},
    {"start": b"\0\1" + b"\xff" * 8, "filler": b"\0"},
])
def test_pkcs1_encoding_with_one_thing_wrong_is_refused(wrong):
    assert rsa_verify(public_der(), PKCS1, HASH, raw_sign(pkcs1_encoding())) == 0
    assert rsa_verify(public_der(), PKCS1, HASH, raw_sign(pkcs1_encoding(**wrong))) == E_SIGNATURE


def test_pkcs1_encoding_with_any_byte_changed_is_refused():
    em = pkcs1_encoding()
    for i in range(256):
        other = em[:i] + bytes([em[i] ^ 1 << i % 7]) + em[i + 1:]
        assert rsa_verify(public_der(), PKCS1, HASH, raw_sign(other)) == E_SIGNATURE


@pytest.mark.parametrize("wrong", [
    {"marker": 0}, {"marker": 2}, {"trailer": 0xBD}, {"trailer": 0xCC}, {"zeros": bytes(189) + b"\1"},
    {"zeros": b"\1" + bytes(189)}, {"zeros": bytes(100) + b"\x80" + bytes(89)},
])
def test_pss_encoding_with_one_thing_wrong_is_refused(wrong):
    assert rsa_verify(public_der(), PSS, HASH, raw_sign(pss_encoding())) == 0
    assert rsa_verify(public_der(), PSS, HASH, raw_sign(pss_encoding(**wrong))) == E_SIGNATURE


def test_pss_encoding_with_its_top_bit_set_is_refused():
    n = private_key().private_numbers().public_numbers.n
    for i in range(64):  # until the encoding is below the modulus
        em = pss_encoding(salt=bytes([i]) * 32, top=0x80)
        if int.from_bytes(em, "big") < n:
            assert rsa_verify(public_der(), PSS, HASH, raw_sign(em)) == E_SIGNATURE
            return
    raise AssertionError("no encoding fits")


def test_key_cut_short_or_with_bytes_behind_is_refused():
    der = public_der()
    for n in range(len(der)):
        assert rsa_verify(der[:n], PSS, HASH, pss()) == E_KEY_FORMAT
    assert rsa_verify(der + b"\0", PSS, HASH, pss()) == E_KEY_FORMAT


def test_key_with_any_byte_of_its_structure_changed_is_refused():
    der = public_der()
    for i in [*range(9), *range(len(der) - 5, len(der) - 3)]:
        for bit in range(8):
            other = der[:i] + bytes([der[i] ^ 1 << bit]) + der[i + 1:]
            assert rsa_verify(other, PSS, HASH, pss()) == E_KEY_FORMAT


def test_unusable_keys_are_refused():
    n = private_key().private_numbers().public_numbers.n
    unusable = {
        "even modulus": der_key(n - 1, 65537),
        "1024 bits": der_key(n >> 1024 | 1, 65537),
        "2047 bits": der_key(n >> 1 | 1, 65537),
        "2049 bits": der_key(n << 1 | 1, 65537),
        "4096 bits": der_key(n << 2048 | 1, 65537),
        "exponent 0": der_key(n, 0),
        "exponent 1": der_key(n, 1),
        "even exponent": der_key(n, 65536),
        "exponent of 33 bits": der_key(n, (1 << 32) + 1),
        "modulus not minimal": der_sequence(der_integer(n, b"\0") + der_integer(65537)),
        "a third integer": der_sequence(der_integer(n) + der_integer(65537) + b"\2\1\1"),
        "exponent not minimal": der_sequence(der_integer(n) + b"\2\4\0\1\0\1"),
        "exponent empty": der_sequence(der_integer(n) + b"\2\0"),
        "negative exponent": der_sequence(der_integer(n) + b"\2\1\x83"),
        "exponent's length not minimal": der_sequence(der_integer(n) + b"\2\x82\0\3\1\0\1"),
        "exponent's length indefinite": der_sequence(der_integer(n) + b"\2\x80\1\0\1"),
        "exponent's length in one more byte": der_sequence(der_integer(n) + b"\2\x81\3\1\0\1"),
        "negative modulus": b"\x30\x82\x01\x09\x02\x82\x01\x00" + n.to_bytes(256, "big") + der_integer(65537),
    }
    for what, der in unusable.items():
        assert rsa_verify(der, PSS, HASH, pss()) == E_KEY_FORMAT, what


@functools.cache
def primes():
    numbers = private_key().private_numbers()
    return numbers.p, numbers.q


def next_prime(n):
    n |= 1
    while any(n % small == 0 for small in (3, 5, 7, 11, 13, 17, 19, 23)) or pow(2, n - 1, n) != 1:
        n += 2
    return n


def check_arithmetic(p, q, e, limb_bits):
    n, phi = p * q, (p - 1) * (q - 1)
    assert n.bit_length() == 2048
    sig = pow(int.from_bytes(pkcs1_encoding(), "big"), pow(e, -1, phi), n).to_bytes(256, "big")
    assert rsa_verify(der_key(n, e), PKCS1, HASH, sig, limb_bits) == 0, hex(e)


@LIMBS
def test_any_exponent_is_raised_to(limb_bits):
    p, q = primes()
    r = random.Random(1)
    for e in [3, 5, 17, 257, 65537, 0xFFFFFFFF, 0x80000001, *(r.getrandbits(32) | 1 for _ in range(60))]:
        try:
            pow(e, -1, (p - 1) * (q - 1))
        except ValueError:
            continue  # no private exponent belongs to it
        check_arithmetic(p, q, e, limb_bits)


@LIMBS
@pytest.mark.parametrize("top", ["8000000000000000", "ffffffffffffffff", "ffffffff00000001", "8000ffff00000000",
                                 "80000000ffffffff"])
def test_moduli_at_the_edges_of_division_are_right(limb_bits, top):
    """A top limb as small or as large as can be makes the estimated quotient wrong most often."""
    p = primes()[0]
    fill = top[-4:] * 58 if top[-4:] in ("0000", "ffff") else "0" * 232  # down to where the next prime moves it
    q = next_prime(int(top + fill + "0" * (512 - 16 - 232), 16) // p + 2)
    assert f"{p * q:x}".startswith(top)
    for e in (65537, 1009, 0xFFFF0001):
        check_arithmetic(p, q, e, limb_bits)


def test_the_watchdog_is_fed_at_every_multiplication():
    fed = []
    assert rsa_verify(public_der(), PSS, HASH, pss(), feed=lambda: fed.append(1)) == 0
    assert len(fed) == 17


def test_working_memory_is_two_kibibytes_at_most():
    for limb_bits in (16, 32):
        assert otacore.lib(limb_bits).sizes["rsa"] <= 2048
