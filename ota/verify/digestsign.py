"""The notification's signature, `digestsign`: RSA-2048, PKCS#1 v1.5 with SHA-256 over the digest's bytes
(SPEC.md section 4). Checked before a byte is fetched."""

# SPDX-License-Identifier: MIT
from micropython import const

from ota import native

_E_SIGNATURE = const(1007)
_E_NO_DIGESTSIGN = const(1024)
_E_DIGESTSIGN = const(1025)


def check(notice, key, required, work):
    """key: the public key, PKCS#1 DER bytes, or None. required: refuse a notice without signature.
    work: a scratch buffer of 2 KiB."""
    if notice.digestsign is None or key is None:
        if required:
            raise OSError(_E_NO_DIGESTSIGN)
        return
    import hashlib

    try:
        native.rsa_verify(work, key, hashlib.sha256(notice.digest).digest(), notice.digestsign)
    except OSError as e:
        raise OSError(_E_DIGESTSIGN if e.errno == _E_SIGNATURE else e.errno)
