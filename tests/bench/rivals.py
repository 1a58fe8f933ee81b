"""The patch engines that ours is compared with: bytes of a patch by each, at its best settings."""
# SPDX-License-Identifier: MIT

import io
import subprocess
import tempfile
from pathlib import Path

import bsdiff4
import detools

HEATSHRINK_WINDOWS = range(8, 15)  # log2


def _detools(old, new, **options):
    made = io.BytesIO()
    detools.create_patch(io.BytesIO(old), io.BytesIO(new), made, **options)
    return made.tell()


def _command(old, new, *words):
    with tempfile.TemporaryDirectory() as folder:
        paths = {name: str(Path(folder) / name) for name in ("old", "new", "patch")}
        Path(paths["old"]).write_bytes(old)
        Path(paths["new"]).write_bytes(new)
        subprocess.run([word.format(**paths) for word in words], check=True, capture_output=True)
        return Path(paths["patch"]).stat().st_size


RIVALS = {
    "bsdiff": lambda old, new: len(bsdiff4.diff(old, new)),
    "detools+lzma": lambda old, new: _detools(old, new, compression="lzma"),
    "detools+hs": lambda old, new: min(
        _detools(old, new, compression="heatshrink", heatshrink_window_sz2=window) for window in HEATSHRINK_WINDOWS
    ),
    "xdelta3": lambda old, new: _command(old, new, "xdelta3", "-e", "-9", "-S", "lzma", "-s", "{old}", "{new}", "{patch}"),
    "zstd": lambda old, new: _command(old, new, "zstd", "-q", "--ultra", "-22", "--long=27", "--patch-from={old}", "{new}", "-o", "{patch}"),
}
