"""Building, signing and verifying images, with imgtool underneath."""
# SPDX-License-Identifier: MIT

import contextlib
import hashlib
import io
from dataclasses import dataclass

import imgtool.image
from cryptography.exceptions import InvalidSignature
from imgtool.version import SemiSemVersion

from mpota import image, keys
from mpota.errors import ToolError


@dataclass(frozen=True)
class Recipe:
    """What goes into an image besides its payload."""

    version: image.Version
    counter: int
    vendor: str
    class_name: str  # product-key/board
    header_size: int


def build(payload, recipe, key):
    """A signed image around `payload`."""
    made = imgtool.image.Image(
        version=SemiSemVersion(*recipe.version.numbers),
        header_size=recipe.header_size,
        pad_header=True,
        security_counter=recipe.counter,
        vid=recipe.vendor,
        cid=recipe.class_name,
    )
    with contextlib.redirect_stdout(io.StringIO()):  # imgtool's library talks
        made.load_compressed(payload, b"")
        made.create(key, "hash", None)
    return bytes(made.payload)


def check_size(data, board, path):
    """Refuses an image that leaves no room for the slot's trailer."""
    if len(data) > board.image_limit:
        raise ToolError(
            path,
            f"image of {len(data)} bytes is larger than {board.image_limit}, "
            f"what a slot of {board.name} holds beside its trailer",
        )


def sign(data, key, path):
    """The same image, signed by another key: header, payload and protected TLVs stay."""
    parsed = image.parse(data, path)
    return _signed(data[: parsed.signed_size], key)


def wrap_patch(bare, result, key, header_size):
    """A bare patch between header and TLVs: version, counter and ids are those of the image that results."""
    area = imgtool.image.TLV("little", imgtool.image.TLV_PROT_INFO_MAGIC)
    for name in ("SEC_CNT", "UUID_VID", "UUID_CID"):
        area.add(name, result.tlvs[name])
    protected = area.get()
    version = image.VERSION.pack(*result.version.numbers)
    fields = (image.MAGIC, 0, header_size, len(protected), len(bare), image.NON_BOOTABLE, version, 0)
    return _signed(image.HEADER.pack(*fields) + bare + protected, key)


def _signed(signed, key):
    area = imgtool.image.TLV("little")
    area.add("SHA256", hashlib.sha256(signed).digest())
    area.add("KEYHASH", keys.key_hash(key))
    area.add(key.sig_tlv(), key.sign(signed))
    return signed + area.get()


def check_key(parsed, key, path):
    """That the image was signed by this key, as it says."""
    if parsed.tlvs["KEYHASH"] != keys.key_hash(key):
        raise ToolError(path, f"signed by another key, {parsed.tlvs['KEYHASH'].hex()[:16]}…")


def verify(path, key):
    """The image in the file; refuses one that `key` has not signed."""
    parsed, data = image.load(path)
    check_key(parsed, key, path)
    name, value = parsed.signature
    try:
        if name != key.sig_tlv():
            raise InvalidSignature
        key.verify(value, data[: parsed.signed_size])
    except InvalidSignature:
        raise ToolError(path, "signature is wrong") from None
    return parsed
