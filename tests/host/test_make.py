"""The Makefile's builds: a folder holds what one MicroPython made, and all of it.

MicroPython is a source tree of a few lines: it makes one object if there is none, and the firmware of that."""
# SPDX-License-Identifier: MIT

import os
import subprocess

import pytest

from mpota import keys

from .helpers import ROOT, mpota, tool

KEY = ROOT / "tests" / "keys" / "test-rsa2048.pem"
PORT = """\
all:
	@mkdir -p $(BUILD)
	@[ -f $(BUILD)/object ] || { echo half > $(BUILD)/object; $(DURING); printf '\\177ELF of $(CURDIR)' > $(BUILD)/object; }
	@echo $(FROZEN_MANIFEST) > $(BUILD)/frozen
	@$(AFTER)
	@cp $(BUILD)/object $(BUILD)/firmware
"""


def tree(folder):
    """A MicroPython."""
    for name, text in (("py/mpconfig.h", ""), ("lib/mbedtls/x", ""), ("mpy-cross/build/mpy-cross", ""), ("ports/unix/Makefile", PORT)):
        (folder / name).parent.mkdir(parents=True)
        (folder / name).write_text(text)
    (folder / "mpy-cross/build/mpy-cross").chmod(0o755)
    return folder


@pytest.fixture
def build(tmp_path):
    """Builds with a MicroPython; returns what its firmware is made of, or None if there is none. during, after: shell; variables:
    the Makefile's."""

    def build(micropython, during=":", after=":", **variables):
        words = {"BUILD": tmp_path / "build", "VENV": ROOT / "build" / "venv" / "bin", "MICROPY_DIR": micropython, "KEY": KEY,
                 "DIGEST_KEY": KEY, "OUT": tmp_path / "out.img", "DURING": during, "AFTER": after, "KCONFIG_CONFIG": os.devnull}  # fmt: skip
        words |= variables
        command = ["make", "otaapp@linuxhost", *(f"{name}={value}" for name, value in words.items())]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, start_new_session=True, check=False)
        if done.returncode:
            return None
        return (tmp_path / "build" / "linuxhost" / "micropython" / "firmware").read_text()[1:]

    return build


def test_objects_of_another_micropython_are_not_kept(build, tmp_path):
    one, other = (tree(tmp_path / name) for name in ("one", "other"))
    for micropython in (one, other, one):
        assert build(micropython) == f"ELF of {micropython}/ports/unix"


def test_killed_build_is_begun_anew(build, tmp_path):
    one = tree(tmp_path / "one")
    assert build(one, during="kill -KILL 0") is None
    assert build(one) == f"ELF of {one}/ports/unix"


def test_failed_build_goes_on_where_it_failed(build, tmp_path):
    one = tree(tmp_path / "one")
    assert build(one, after="false") is None
    assert build(one, during="exit 1") == f"ELF of {one}/ports/unix"


def app(folder, *names):
    """An application."""
    folder.mkdir()
    for name in names:
        (folder / name).write_text(f"# of {folder.name}\n")
    return folder


def test_every_file_of_the_application_is_frozen_and_none_of_another(build, tmp_path):
    one, gen = tree(tmp_path / "one"), tmp_path / "build" / "linuxhost" / "gen"
    for folder in (app(tmp_path / "large", "main.py", "b.py", "a.py", "notes.txt"), app(tmp_path / "small", "main.py")):
        names = sorted(path.name for path in folder.glob("*.py"))
        assert build(one, APP=folder)
        assert (gen / "app.py").read_text().split() == " ".join(f'module("{name}", base_path="app", opt=3)' for name in names).split()
        assert {path.name: path.read_text() for path in (gen / "app").iterdir()} == dict.fromkeys(names, f"# of {folder.name}\n")


def test_manifest_is_the_boards_own_or_the_given_one(build, tmp_path):
    one, frozen = tree(tmp_path / "one"), tmp_path / "build" / "linuxhost" / "micropython" / "frozen"
    for variables, manifest in (({}, ROOT / "boards/linuxhost/manifest.py"), ({"MANIFEST": "manifest.py"}, ROOT / "manifest.py")):
        assert build(one, **variables)
        assert frozen.read_text() == f"{manifest}\n"


def test_all_keys_are_trusted_and_the_first_signs(build, tmp_path):
    names = [ROOT / "tests" / "keys" / f"test-rsa{bits}.pem" for bits in (3072, 2048)]
    assert build(tree(tmp_path / "one"), KEY=f"{names[0]} {names[1]}")
    constants = (tmp_path / "build" / "linuxhost" / "gen" / "ota_config.py").read_text()
    assert f"IMAGE_KEYS = {tuple(keys.public_der(keys.load(name)) for name in names)!r}\n" in constants
    assert mpota("image", "verify", tmp_path / "out.img", "--key", names[0]).returncode == 0


@pytest.mark.parametrize("folder", ["otaapp", "otaapp/", "./otaapp//"])
def test_image_is_named_after_the_applications_folder(folder):
    done = tool("make", "--no-print-directory", "-C", ROOT, "--eval", "otaapp@board: ; @echo $(IMG)", "otaapp@board", f"APP={folder}")
    assert done.stdout == f"{ROOT}/out/otaapp@board-1.0.0.img\n"
