"""RSA keys: making and reading them, and the signature of a digest. imgtool reads the files."""
# SPDX-License-Identifier: MIT

import base64
import hashlib
import os
import stat

import imgtool.keys
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from mpota import storage
from mpota.errors import ToolError

BITS = (2048, 3072)
DIGESTSIGN_BITS = 2048
FILE_MAX = 1 << 20  # beyond any key's file


def create(path, bits):
    """Writes a new private key that only its owner can read; never replaces a file."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=bits)
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    storage.write_new(path, pem, 0o600)
    return imgtool.keys.RSA(key)


def load(path):
    """imgtool's key object for a private or public RSA key."""
    try:
        found = os.stat(path)
        if stat.S_ISCHR(found.st_mode) or found.st_size > FILE_MAX:  # imgtool reads to the end, which a device may not have
            raise ToolError(path, "not a key in PEM format")
        key = _load_pem(path)
    except OSError as error:
        raise ToolError(path, error.strerror) from error
    if key is None:
        raise ToolError(path, "key is protected by a passphrase")
    if not isinstance(key, imgtool.keys.RSAPublic):
        raise ToolError(path, "not an RSA key")
    return key


def _load_pem(path):
    try:
        return imgtool.keys.load(path)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise ToolError(path, "not a key in PEM format") from error
    except OSError:
        raise
    except Exception as error:  # imgtool raises nothing more precise for a size or type it does not know
        raise ToolError(path, f"not an RSA key of {BITS[0]} or {BITS[1]} bits") from error


def load_private(path):
    """Like load(), and refuses a public key."""
    return _private(load(path), path)


def load_digest(path):
    """The key for digestsign, private or public."""
    key = load(path)
    if key.key_size() != DIGESTSIGN_BITS:
        raise ToolError(path, f"digestsign needs a key of {DIGESTSIGN_BITS} bits, this one has {key.key_size()}")
    return key


def load_digest_key(path):
    """The private key for digestsign."""
    return _private(load_digest(path), path)


def _private(key, path):
    if not isinstance(key, imgtool.keys.RSA):
        raise ToolError(path, "a public key cannot sign")
    return key


def public_der(key):
    """The public key as PKCS#1 RSAPublicKey DER, as firmware holds it."""
    return key.get_public_bytes()


def key_hash(key):
    """SHA-256 of public_der(): the KEYHASH of images this key signs."""
    return hashlib.sha256(public_der(key)).digest()


def sign_digest(key, digest):
    """digestsign: base64 of the PKCS#1 v1.5 signature, with SHA-256, over the digest's bytes."""
    signature = key.key.sign(digest, padding.PKCS1v15(), hashes.SHA256())
    return base64.b64encode(signature).decode()


def as_c(key, name="public_key"):
    """The public key as a C array."""
    der = public_der(key)
    lines = [", ".join(f"0x{byte:02x}" for byte in der[i : i + 12]) for i in range(0, len(der), 12)]
    return f"static const uint8_t {name}[{len(der)}] = {{\n    " + ",\n    ".join(lines) + ",\n};"


def as_python(key, name="PUBLIC_KEY"):
    """The public key as a Python constant."""
    der = public_der(key)
    lines = ["".join(f"\\x{byte:02x}" for byte in der[i : i + 20]) for i in range(0, len(der), 20)]
    return f"{name} = (\n" + "\n".join(f'    b"{line}"' for line in lines) + "\n)"
