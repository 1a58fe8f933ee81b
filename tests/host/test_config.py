"""boards/Kconfig: every option has its effect on what a firmware is built from, and what it cannot be is refused."""
# SPDX-License-Identifier: MIT

import os
import pty
import subprocess

import pytest

from mpota import board, config, esp8266, firmware

from .helpers import ROOT, mpota

BOARDS = ROOT / "boards"
KEYS = ROOT / "tests" / "keys"
DEFAULT_KEYS = "".join(f'CONFIG_{name}="{KEYS}/test-rsa2048.pem"\n' for name in ("IMAGE_KEY", "DIGEST_KEY"))


def load(folder, text, name=None):
    (folder / ".config").write_text(text)
    return config.load(folder / ".config", BOARDS, name)


def test_without_a_file_everything_has_its_default(tmp_path):
    found = config.load(tmp_path / "none", BOARDS)
    assert (found.board, found.product, found.tries, found.console, found.server) == ("esp8266", "a1mpotademo", 3, True, None)
    assert (config.PROTOCOLS[found.protocol], config.SIGNS[found.sign]) == ("MQTT", "RSA")


def test_numbers_are_the_services_own():
    channel, rules = ((ROOT / "ota" / name).read_text() for name in ("channel.py", "rules.py"))
    for i, name in enumerate(config.PROTOCOLS):
        assert f"\n{name} = const({i})\n" in channel
    for i, name in enumerate(config.SIGNS):
        assert f"\nSIGN_{name} = const({i})\n" in rules


@pytest.mark.parametrize("name", sorted(path.parent.name for path in BOARDS.glob("*/defconfig")))
def test_defconfig_of_a_board_chooses_it(tmp_path, name):
    assert load(tmp_path, (BOARDS / name / "defconfig").read_text()).board == name


def with_keys(text):
    """A configuration, with the keys it does not name."""
    return "".join(line for line in DEFAULT_KEYS.splitlines(True) if line.split("=")[0] not in text) + text


def generated(folder, text):
    """What `mpota firmware` writes for a configuration: one text of all files."""
    (folder / ".config").write_text(with_keys(text))
    out = folder / "gen"
    done = mpota("firmware", out, "--config", folder / ".config", "--boards", BOARDS)
    assert done.returncode == 0, done.stderr
    return {path.name: path.read_text() for path in out.iterdir()}


@pytest.mark.parametrize(
    ("line", "file", "text"),
    [
        ("CONFIG_BOARD_ESP8266_2M=y", "board.h", "BOARD_FLASH_SIZE 0x200000"),
        ('CONFIG_PRODUCT="a1other"', "boot_config.c", "class_id"),
        (f'CONFIG_IMAGE_KEY="{KEYS}/test-rsa3072.pem"', "boot_config.c", "key0"),
        (f'CONFIG_IMAGE_KEY="{KEYS}/test-rsa2048.pem {KEYS}/test-rsa3072.pem"', "boot_config.c", "key1"),
        (f'CONFIG_DIGEST_KEY="{KEYS}/test-rsa2048-foreign.pem"', "ota_config.py", "DIGEST_KEY"),
        ("CONFIG_PROTOCOL_COAP=y", "ota_config.py", "PROTOCOL = 1"),
        ('CONFIG_SERVER="ota.example.org:1884"', "ota_config.py", "SERVER = ('ota.example.org', 1884)"),
        ("CONFIG_SIGN_SHA256=y", "ota_config.py", "SIGN_TYPE = 0"),
        ("CONFIG_SIGN_MD5=y", "ota_config.py", "SIGN_TYPE = 1"),
        ("CONFIG_TRIES=7", "boot_config.c", ".tries = 7"),
        ("# CONFIG_CONSOLE is not set", "boot.mk", "CONSOLE := noconsole.c"),
    ],
)
def test_option_changes_what_is_built(tmp_path, line, file, text):
    before = generated(tmp_path, "")
    after = generated(tmp_path, line + "\n")
    assert text in after[file] and after[file] != before[file]


def test_ca_reaches_the_board_that_has_tls(tmp_path):
    from mpota import pki

    certificate = pki.prepare(tmp_path, "127.0.0.1").ca
    assert "CA = b'0\\x82" in generated(tmp_path, f'CONFIG_BOARD_LINUXHOST=y\nCONFIG_CA="{certificate}"\n')["ota_config.py"]


def test_file_of_several_certificates_is_no_ca(tmp_path):
    from mpota import pki

    paths = pki.prepare(tmp_path, "127.0.0.1")
    (tmp_path / "bundle").write_bytes(paths.ca.read_bytes() + paths.server.read_bytes())
    (tmp_path / ".config").write_text(DEFAULT_KEYS)
    words = ("--config", tmp_path / ".config", "--board", "linuxhost", "--boards", BOARDS)
    done = mpota("firmware", tmp_path / "gen", *words, "--ca", tmp_path / "bundle")
    assert done.returncode == 1
    assert done.stderr == f"mpota: {tmp_path}/bundle: holds 2 certificates; a board knows one CA\n"


def test_command_line_goes_before_the_file(tmp_path):
    (tmp_path / ".config").write_text(DEFAULT_KEYS + 'CONFIG_SERVER="a:1"\n')
    mpota("firmware", tmp_path / "gen", "--config", tmp_path / ".config", "--boards", BOARDS, "--board", "linuxhost", "--server", "b:2")
    constants = (tmp_path / "gen" / "ota_config.py").read_text()
    assert "SERVER = ('b', 2)" in constants and "BOARD = 'linuxhost'" in constants


def test_image_is_built_for_the_configured_product_and_signed_by_the_first_key(tmp_path):
    names = [KEYS / f"{name}.pem" for name in ("test-rsa2048-e3", "test-rsa2048")]
    (tmp_path / ".config").write_text(with_keys(f'CONFIG_IMAGE_KEY="{names[0]} {names[1]}"\nCONFIG_PRODUCT="a1other"\n'))
    (tmp_path / "payload").write_bytes(esp8266.pack(0x40100000, [esp8266.Segment(0x40100000, bytes(64))]))
    words = ("image", "build", tmp_path / "payload", tmp_path / "out", "--version", "1.0.0", "--counter", "1", "--boards", BOARDS)
    done = mpota(*words, "--config", tmp_path / ".config")
    assert done.returncode == 0, done.stderr
    _, class_id = firmware.product_ids(board.load("esp8266", BOARDS).vendor, "a1other", "esp8266")
    assert class_id in (tmp_path / "out").read_bytes()
    assert mpota("image", "verify", tmp_path / "out", "--key", names[0]).returncode == 0


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("CONFIG_TRIES=16\n", "outside the active range"),
        ("CONFIG_NOSUCH=y\n", "undefined symbol NOSUCH"),
        ("CONFIG_PRODUCT=bare\n", "malformed string literal"),
        ('CONFIG_SERVER="nowhere"\n', "not HOST:PORT"),
        (f'CONFIG_DIGEST_KEY="{KEYS}/test-rsa3072.pem"\n', "test-rsa3072.pem: digestsign needs a key of 2048 bits, this one has 3072"),
        ('CONFIG_IMAGE_KEY=""\n', ".config: CONFIG_IMAGE_KEY is empty"),
        ('CONFIG_DIGEST_KEY=""\n', ".config: CONFIG_DIGEST_KEY is empty"),
        ('CONFIG_DIGEST_KEY=""\nCONFIG_SIGN_MD5=y\n', ".config: CONFIG_DIGEST_KEY is empty"),
    ],
)
def test_configuration_that_cannot_be_is_refused(tmp_path, text, reason):
    (tmp_path / ".config").write_text(with_keys(text))
    done = mpota("firmware", tmp_path / "gen", "--config", tmp_path / ".config", "--boards", BOARDS)
    assert done.returncode == 1 and reason in done.stderr


def test_digest_key_may_be_missing_where_notifications_may_be_unsigned(tmp_path):
    assert "DIGEST_KEY = None" in generated(tmp_path, 'CONFIG_DIGEST_KEY=""\nCONFIG_SIGN_SHA256=y\n')["ota_config.py"]


def test_file_that_is_no_text_is_refused_with_one_line(tmp_path):
    (tmp_path / ".config").write_bytes(b"\xc2\n")
    done = mpota("config", "--config", tmp_path / ".config", "--boards", BOARDS)
    assert done.returncode == 1 and done.stderr.startswith(f"mpota: {tmp_path}/.config: Malformed") and done.stderr.count("\n") == 1


def at_the_screen(config_file, keys):
    """Types at `make menuconfig` in a terminal once its menu stands there; returns its status and all it showed."""
    screen, terminal = pty.openpty()
    environment = os.environ | {"TERM": "xterm", "LINES": "40", "COLUMNS": "100", "KCONFIG_CONFIG": str(config_file)}
    with subprocess.Popen(["make", "-C", ROOT, "menuconfig"], stdin=terminal, stdout=terminal, stderr=terminal, env=environment) as process:
        os.close(terminal)
        shown = b""
        try:
            while part := os.read(screen, 4096):
                shown += part
                if keys and b"Quit (prompts" in shown:
                    os.write(screen, keys)
                    keys = b""
        except OSError:
            pass  # the other end is closed
        os.close(screen)
    return process.returncode, shown


def test_menuconfig_edits_the_options(tmp_path):
    file = tmp_path / ".config"
    status, shown = at_the_screen(file, b"/TRIES\n\n\x7f7\n" + b"/PROTOCOL_COAP\n " + b"/BOARD_ESP8266_2M\n " + b"qy")
    assert status == 0 and b"Configuration saved to" in shown, shown
    found = config.load(file, BOARDS)
    assert (found.board, found.tries, config.PROTOCOLS[found.protocol], found.console) == ("esp8266-2m", 7, "COAP", True)


def test_menuconfig_left_without_saving_changes_nothing(tmp_path):
    file = tmp_path / ".config"
    file.write_text("CONFIG_TRIES=5\n")
    assert at_the_screen(file, b"/TRIES\n\n\x7f7\n" + b"qn")[0] == 0
    assert file.read_text() == "CONFIG_TRIES=5\n"


def test_config_shows_one_option_or_all(tmp_path):
    (tmp_path / ".config").write_text("CONFIG_BOARD_LINUXHOST=y\n")
    assert mpota("config", "board", "--config", tmp_path / ".config", "--boards", BOARDS).stdout == "linuxhost\n"
    assert "linuxhost" in mpota("config", "--config", tmp_path / ".config", "--boards", BOARDS).stdout
    assert "no such option" in mpota("config", "nothing", "--config", tmp_path / ".config", "--boards", BOARDS).stderr


@pytest.mark.parametrize(
    ("word", "reason"),
    [
        ("VERSION=1.2", "VERSION=1.2: not of the form 1.2.3 or 1.2.3+4"),
        ("COUNTER=two", "COUNTER=two: not a number"),
        ("APP=ota", "APP=ota: no main.py in it"),
        ("OUT=my lamp.img", "OUT=my lamp.img: make takes no path with a space in it"),
    ],
)
def test_make_refuses_a_value_before_it_builds(word, reason):
    done = subprocess.run(["make", "otaapp@linuxhost", word], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert reason in done.stderr
    assert "micropython" not in done.stdout + done.stderr


def test_application_with_a_module_that_the_build_makes_is_refused(tmp_path):
    for name in ("main.py", "ota_config.py"):
        (tmp_path / name).touch()
    done = subprocess.run(["make", "otaapp@linuxhost", f"APP={tmp_path}"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert f"{tmp_path}/ota_config.py: the build makes this module itself" in done.stderr
