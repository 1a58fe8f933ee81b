"""The local certificate authority and the server's certificate."""
# SPDX-License-Identifier: MIT

import datetime
import ipaddress
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from mpota import storage
from mpota.errors import ToolError

# A board without a clock believes it is 1970 or 2000, and nobody renews certificates of a local server.
_FROM = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
_UNTIL = datetime.datetime(2049, 12, 31, tzinfo=datetime.UTC)
ALWAYS = ("localhost", "127.0.0.1", "10.0.2.2")  # 10.0.2.2 is the host as an emulated board sees it


@dataclass(frozen=True)
class Certificates:
    """Where the three files are."""

    ca: Path
    server: Path
    server_key: Path


def prepare(folder, host):
    """Makes what is missing in `folder`: the CA once, the server's certificate for every new `host`."""
    folder = Path(folder)
    paths = Certificates(folder / "ca.pem", folder / "server.pem", folder / "server-key.pem")
    key_path = folder / "ca-key.pem"
    if paths.ca.exists() != key_path.exists():  # boards trust the old one: it is not to be replaced
        raise ToolError(key_path if paths.ca.exists() else paths.ca, "missing, while the other half of the CA is there")
    if not paths.ca.exists():
        _make_ca(paths.ca, key_path)
        paths.server.unlink(missing_ok=True)
    if not _covers(paths, host):
        _make_server(paths, key_path, host)
    return paths


def _new_key():
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)  # the one kind every small TLS stack verifies


def _key_pem(key):
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _names(host):
    """An address is named twice: mbedTLS before 3.5 knows only DNS names and compares an address with them."""
    names = dict.fromkeys((*ALWAYS, host))
    return [*(_name(name) for name in names), *(x509.DNSName(name) for name in names if not isinstance(_name(name), x509.DNSName))]


def _name(name):
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _covers(paths, host):
    if not (paths.server.exists() and paths.server_key.exists()):
        return False
    try:
        certificate = x509.load_pem_x509_certificate(storage.read(paths.server))
    except ValueError as error:
        raise ToolError(paths.server, "not a certificate; remove it to have it made anew") from error
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return _name(host) in list(names)


def certificate_der(path):
    """The one certificate in the PEM file `path`, as DER."""
    try:
        found = x509.load_pem_x509_certificates(storage.read(path))
    except ValueError as error:
        raise ToolError(path, "not a certificate") from error
    if len(found) > 1:
        raise ToolError(path, f"holds {len(found)} certificates; a board knows one CA")
    return found[0].public_bytes(serialization.Encoding.DER)


def _builder(subject, issuer, public_key):
    return (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, subject)]))
        .issuer_name(issuer or x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, subject)]))
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(_FROM)
        .not_valid_after(_UNTIL)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), critical=False)
    )


def _usage(ca):
    return x509.KeyUsage(
        digital_signature=not ca,
        key_encipherment=not ca,
        key_cert_sign=ca,
        crl_sign=ca,
        content_commitment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _make_ca(path, key_path):
    key = _new_key()
    certificate = (
        _builder("mpota CA", None, key.public_key())
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(ca=True), critical=True)
        .sign(key, hashes.SHA256())
    )
    storage.write(key_path, _key_pem(key), 0o600)
    storage.write(path, certificate.public_bytes(serialization.Encoding.PEM))


def _make_server(paths, ca_key_path, host):
    try:
        ca = x509.load_pem_x509_certificate(storage.read(paths.ca))
        ca_key = serialization.load_pem_private_key(storage.read(ca_key_path), None)
    except (ValueError, TypeError) as error:
        raise ToolError(paths.ca, "this CA or its key cannot be read") from error
    key = _new_key()
    certificate = (
        _builder(host[:64], ca.subject, key.public_key())
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(ca=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectAlternativeName(_names(host)), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key()), critical=False)
        .sign(ca_key, hashes.SHA256())
    )
    paths.server.unlink(missing_ok=True)  # it must not outlive its key if we stop between the two
    storage.write(paths.server_key, _key_pem(key), 0o600)
    storage.write(paths.server, certificate.public_bytes(serialization.Encoding.PEM))
