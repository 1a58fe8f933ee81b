"""Keys, a board, an image and a store for the tests of the host."""
# SPDX-License-Identifier: MIT

import pytest

from mpota import keys
from mpota.store import Store

from .helpers import BOARD, DN, PAYLOAD, PK, mpota


@pytest.fixture(scope="session")
def shelf(tmp_path_factory):
    """A folder with keys, boards/tiny and a payload."""
    folder = tmp_path_factory.mktemp("shelf")
    for name, bits in (("image", 2048), ("image3072", 3072), ("digest", 2048), ("foreign", 2048)):
        keys.create(folder / f"{name}.pem", bits)
    (folder / "boards" / "tiny").mkdir(parents=True)
    (folder / "boards" / "tiny" / "board.toml").write_text(BOARD)
    (folder / "payload.bin").write_bytes(PAYLOAD)
    return folder


@pytest.fixture(scope="session")
def build(shelf):
    """Builds an image with the command; more options override."""

    def build(version, *options, out=None, payload=None, key="image"):
        out = out or shelf / f"{version}.bin"
        done = mpota(
            "image", "build", payload or shelf / "payload.bin", out, "--board", "tiny", "--boards", shelf / "boards",
            "--product", PK, "--version", version, "--counter", "0x2", "--key", shelf / f"{key}.pem", *options,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return out

    return build


@pytest.fixture
def store(tmp_path):
    """A store with one device."""
    store = Store(tmp_path / "state", create=True)
    store.add_device(PK, DN)
    yield store
    store.close()
