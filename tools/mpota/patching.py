"""Patches as artifacts: made between signed images, wrapped and signed like one (SPEC.md, sections 1 and 3)."""
# SPDX-License-Identifier: MIT

import contextlib
import hashlib
import subprocess

from mpota import image, patch, signing, storage
from mpota.errors import ToolError

WORTH = 2 / 3  # of the image's size; above it the image itself is sent
HEADER_BYTES = 32


@contextlib.contextmanager
def _errors(path, kind):
    """What is wrong with `path`, or with the compilers that build encoder and decoder when they are first used."""
    try:
        yield
    except kind as error:
        raise ToolError(path, str(error)) from error
    except FileNotFoundError as error:
        if error.filename not in patch.build.COMPILERS:
            raise
        raise ToolError(error.filename, "not found; on Debian: apt-get install build-essential") from error
    except subprocess.CalledProcessError as error:
        raise ToolError(error.cmd[0], f"cannot build the patch encoder (status {error.returncode})") from error


def make(old, new, path, arch="auto", state=16384):
    """The bare patch from one file's bytes to another's; `path` names it in errors."""
    with _errors(path, (ValueError, patch.PatchError)):
        return patch.make(old, new, arch, state)


def apply(old, data, path):
    """The new file's bytes."""
    with _errors(path, patch.PatchError):
        return patch.apply(old, data)


def info(data, path):
    """What a bare or wrapped patch says of itself."""
    with _errors(path, patch.PatchError):
        return patch.info(unwrap(data, path))


def unwrap(data, path):
    """The bare patch in an artifact, or the bytes themselves if they are none."""
    if data[:4] != image.MAGIC.to_bytes(4, "little"):
        return data
    parsed = image.parse(data, path)
    return data[parsed.header_size : parsed.header_size + parsed.payload_size]


def check_pair(old_path, new_path, key):
    """The image in the new file, of the same product and board as the old one and signed by the key of images."""
    (old, _), (result, _) = map(image.load_program, (old_path, new_path))
    if old.tlvs["UUID_CID"] != result.tlvs["UUID_CID"]:
        raise ToolError(old_path, f"of another product or board than {new_path}")
    signing.check_key(result, key, new_path)
    return result


def wrap(bare, result, key):
    """The artifact: header and TLVs of the image that results, flagged as not bootable, signed by the image key."""
    return signing.wrap_patch(bare, result, key, HEADER_BYTES)


def for_base(folder, old_path, new_path, key, state):
    """(artifact, its size) from one image file to another, its patch made once and kept in `folder`; (None, size) if it does not pay."""
    old, new = storage.read(old_path), storage.read(new_path)
    result = image.parse(new, new_path)
    words = (hashlib.sha256(old).hexdigest()[:24], hashlib.sha256(new).hexdigest()[:24], f"{state}", patch.build.digest())
    artifact = wrap(_kept(folder / f"{'-'.join(words)}.patch", old, new, state), result, key)
    return artifact if len(artifact) < WORTH * len(new) else None, len(artifact)


def _kept(path, old, new, state):
    """The patch in the file, if that is one from the old bytes to the new; else it is made, and kept there."""
    if path.is_file():
        with contextlib.suppress(ToolError, patch.PatchError):
            kept = storage.read(path)
            if patch.apply(old, kept) == new:
                return kept
    storage.make_folder(path.parent)
    made = make(old, new, "--state-bytes", state=state)
    storage.write(path, made)
    return made
