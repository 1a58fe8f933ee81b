"""Images: imgtool is the oracle, and every fault has its line."""
# SPDX-License-Identifier: MIT

import struct
import uuid

import pytest
import yaml

from mpota import board, esp8266, esptool_, image, keys, signing
from mpota.errors import ToolError
from mpota.image import Version

from .helpers import LIMIT, PAYLOAD, PK, ROOT, console_script, mpota, mpota_json, tool


@pytest.fixture(scope="module")
def good(build):
    return build("1.2.3+4")


@pytest.mark.parametrize("key", ["image", "image3072"])
def test_imgtool_verifies_what_we_build(shelf, build, tmp_path, key):
    out = build("1.2.3+4", out=tmp_path / "image.bin", key=key)
    done = tool(console_script("imgtool"), "verify", "-k", shelf / f"{key}.pem", out)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Image version: 1.2.3+4" in done.stdout
    assert tool(console_script("imgtool"), "verify", "-k", shelf / "foreign.pem", out).returncode == 1


def test_imgtool_dumps_what_we_build(good, tmp_path):
    dump = tmp_path / "dump.yaml"
    done = tool(console_script("imgtool"), "dumpinfo", good, "-o", dump, "-s")
    assert done.returncode == 0, done.stderr
    facts = yaml.safe_load(dump.read_text())
    assert (facts["header"]["hdr_size"], facts["header"]["img_size"]) == (0x200, len(PAYLOAD))


def test_imgtool_builds_the_same_bytes(shelf, good, tmp_path):
    theirs = tmp_path / "theirs.bin"
    done = tool(
        console_script("imgtool"), "sign", "-k", shelf / "image.pem", "-v", "1.2.3+4", "-H", "0x200", "--pad-header", "-s", "2",
        "--align", "1", "-S", "0x20000", "--vid", "example.org", "--cid", f"{PK}/tiny", shelf / "payload.bin", theirs,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert theirs.read_bytes()[:-256] == good.read_bytes()[:-256]  # PSS draws a salt, so signatures differ


def test_info_tells_version_counter_and_whose_image_it_is(good):
    facts = mpota_json("image", "info", good)
    vendor = uuid.uuid5(uuid.NAMESPACE_DNS, "example.org")
    assert facts["version"] == "1.2.3+4"
    assert facts["security_counter"] == 2
    assert facts["kind"] == "image"
    assert facts["vendor_id"] == str(vendor)
    assert facts["class_id"] == str(uuid.uuid5(vendor, f"{PK}/tiny"))
    assert facts["size"] == good.stat().st_size


def test_vendor_option_overrides_the_board(build, tmp_path):
    out = build("1.0.0", "--vendor", "other.example", out=tmp_path / "image.bin")
    assert mpota_json("image", "info", out)["vendor_id"] == str(uuid.uuid5(uuid.NAMESPACE_DNS, "other.example"))


@pytest.mark.parametrize("vendor", ["\udcff", "a\nb"])
def test_vendor_that_is_no_text_is_refused(shelf, tmp_path, vendor):
    done = mpota(
        "image", "build", shelf / "payload.bin", tmp_path / "out", "--board", "tiny", "--boards", shelf / "boards", "--product", PK,
        "--version", "1.0.0", "--counter", "1", "--key", shelf / "image.pem", "--vendor", vendor,
    )  # fmt: skip
    assert done.returncode == 1 and done.stderr.endswith(": not a vendor's domain\n")


def test_signing_by_another_key_changes_nothing_else(shelf, good, tmp_path):
    out = tmp_path / "image.bin"
    assert mpota("image", "sign", good, out, "--key", shelf / "foreign.pem").returncode == 0
    before, after = image.load(good)[0], image.load(out)[0]
    assert out.read_bytes()[: before.signed_size] == good.read_bytes()[: before.signed_size]
    assert after.tlvs["KEYHASH"] == keys.key_hash(keys.load(shelf / "foreign.pem"))
    assert tool(console_script("imgtool"), "verify", "-k", shelf / "foreign.pem", out).returncode == 0
    done = mpota("image", "verify", out, "--key", shelf / "image.pem")
    assert done.returncode == 1
    assert done.stderr.startswith(f"mpota: {out}: signed by another key")


def test_verify_accepts_private_and_public_key(shelf, good, tmp_path):
    keys.load(shelf / "image.pem").export_public(tmp_path / "public.pem")
    for key in (shelf / "image.pem", tmp_path / "public.pem"):
        assert mpota("image", "verify", good, "--key", key).returncode == 0


def test_image_fills_the_slot_up_to_its_trailer_and_no_further(shelf, build, tmp_path):
    overhead = build("1.0.0").stat().st_size - len(PAYLOAD)
    payload = tmp_path / "payload"
    payload.write_bytes(bytes(LIMIT - overhead))
    out = build("1.0.0", out=tmp_path / "largest.bin", payload=payload)
    assert out.stat().st_size == LIMIT
    payload.write_bytes(bytes(LIMIT - overhead + 1))
    done = mpota(
        "image", "build", payload, tmp_path / "larger.bin", "--board", "tiny", "--boards", shelf / "boards",
        "--product", PK, "--version", "1.0.0", "--counter", "1", "--key", shelf / "image.pem",
    )  # fmt: skip
    assert done.returncode == 1
    assert done.stderr.startswith(f"mpota: {payload}: image of {LIMIT + 1} bytes is larger than {LIMIT}")
    assert not (tmp_path / "larger.bin").exists()


def test_every_cut_is_refused(good):
    data = good.read_bytes()
    for size in [*range(0, 40), 512, 1000, *range(len(data) - 400, len(data))]:
        with pytest.raises(ToolError):
            image.parse(data[:size], "image")


def test_any_changed_byte_is_refused(shelf, good, tmp_path):
    data = good.read_bytes()
    key = keys.load(shelf / "image.pem")
    path = tmp_path / "image.bin"
    for offset in [*range(0, 32), 100, 600, *range(len(data) - 420, len(data), 7)]:
        path.write_bytes(data[:offset] + bytes([data[offset] ^ 1]) + data[offset + 1 :])
        with pytest.raises(ToolError):
            signing.verify(path, key)


ENTRY = 0x40100000
RAM, IN_PLACE = esp8266.Segment(ENTRY, bytes(64)), esp8266.Segment(0x40210210, bytes(256))
PROGRAM = esp8266.pack(ENTRY, [IN_PLACE, RAM])
NO_PROGRAMS = {
    "no 0xE9 header": b"MZ" + PROGRAM[2:],
    "checksum differs": PROGRAM[:-1] + b"\0",
    "0 segments": PROGRAM[:1] + b"\0" + PROGRAM[2:],
    "cut short": PROGRAM[:100],
    "linked at 0x40220210": esp8266.pack(ENTRY, [esp8266.Segment(0x40220210, bytes(256)), RAM]),
    "64 bytes cannot lie at 0x3ffffff0": esp8266.pack(ENTRY, [esp8266.Segment(0x3FFFFFF0, bytes(64))]),
    "entry 0x40210210 is not in IRAM": esp8266.pack(0x40210210, [IN_PLACE, RAM]),
}


@pytest.fixture
def build_for(shelf, tmp_path):
    """Runs `mpota image build` for a board of ours; gives how it ended and the image."""

    def build_for(name, program, product=PK):
        (tmp_path / "program").write_bytes(program)
        return mpota(
            "image", "build", tmp_path / "program", tmp_path / "image", "--board", name, "--boards", ROOT / "boards",
            "--product", product, "--version", "1.0.0", "--counter", "1", "--key", shelf / "image.pem",
        ), tmp_path / "image"  # fmt: skip

    return build_for


@pytest.mark.parametrize("reason", NO_PROGRAMS)
def test_payload_that_the_chip_cannot_run_is_refused(build_for, reason):
    done, out = build_for("esp8266", NO_PROGRAMS[reason])
    assert done.returncode == 1 and done.stderr.count("\n") == 1
    assert "/program: no program for esp8266: " in done.stderr and reason in done.stderr
    assert not out.exists()
    assert build_for("esp8266", PROGRAM)[0].returncode == 0


def test_payload_of_the_linux_board_is_an_elf_file(build_for):
    assert "no program for linuxhost: not an ELF file" in build_for("linuxhost", PROGRAM)[0].stderr
    assert build_for("linuxhost", b"\x7fELF")[0].returncode == 0


def test_payload_without_an_end_is_refused(shelf):
    done = mpota(
        "image", "build", "/dev/zero", shelf / "out", "--board", "tiny", "--boards", shelf / "boards", "--product", PK,
        "--version", "1.0.0", "--counter", "1", "--key", shelf / "image.pem",
    )  # fmt: skip
    assert done.returncode == 1 and done.stderr == f"mpota: /dev/zero: larger than {LIMIT} bytes\n"


def flash(image, *options, port="/dev/null"):
    """What `mpota flash` says against it."""
    done = mpota("flash", image, "--board", "esp8266", "--boards", ROOT / "boards", "--port", port, *options)
    assert done.returncode == 1 and done.stderr.count("\n") == 1, done.stderr
    return done.stderr


def test_what_the_board_would_not_start_is_not_flashed(build, build_for, tmp_path):
    loader = tmp_path / "second_boot"
    _, ours = build_for("esp8266", PROGRAM)
    assert f"{ours}: for another product or board than {loader}" in flash(ours, "--second-boot", written(loader, PROGRAM))
    assert f"{loader}: no second boot for esp8266: no 0xE9 header" in flash(ours, "--second-boot", written(loader, bytes(64)))
    small = esp8266.pack(ENTRY, [RAM], size=0x200000)
    assert f"{loader}: no second boot for esp8266: made for a flash" in flash(ours, "--second-boot", written(loader, small))
    assert f"{loader}: larger than 16384 bytes" in flash(ours, "--second-boot", written(loader, bytes(16385)))
    assert "no program for esp8266: no 0xE9 header" in flash(build("1.0.0"))
    assert "nonsense://: not a serial device or pyserial URL" in flash(ours, port="nonsense://")
    assert "--port: no serial device is named" in flash(ours, port="")


def test_image_of_the_loaders_product_and_key_is_flashed(build_for, shelf, tmp_path):
    _, ours = build_for("esp8266", PROGRAM)
    ids, loader = image.load(ours)[0].tlvs["UUID_CID"], tmp_path / "second_boot"
    foreign, key = (keys.public_der(keys.load_private(shelf / f"{name}.pem")) for name in ("digest", "image"))
    written(loader, esp8266.pack(ENTRY, [esp8266.Segment(ENTRY, ids + foreign + bytes(2))]))
    assert f"{ours}: signed with a key that {loader} does not hold" in flash(ours, "--second-boot", loader)
    written(loader, esp8266.pack(ENTRY, [esp8266.Segment(ENTRY, ids + b"\x30\x82" + foreign + key)]))
    assert esptool_.plan(board.load("esp8266", ROOT / "boards"), ours, loader)[:2] == [(0, loader), (0x10000, ours)]


def written(path, data):
    path.write_bytes(data)
    return path


FAULTS = {
    "wrong magic": (0, "<I", 0x12345678),
    "header size 20 is out of range": (8, "<H", 20),
    "header size 33 is out of range": (8, "<H", 33),
    "no TLV area at": (12, "<I", 1000),
    "cut short": (12, "<I", 0xFFFFFF00),
    "protected TLV area is not of the size": (10, "<H", 8),
    "unknown flags 0x4": (16, "<I", 4),
    "hash differs": (20, "<B", 9),
}


@pytest.mark.parametrize("reason", FAULTS)
def test_fault_is_named(good, reason):
    offset, form, value = FAULTS[reason]
    data = bytearray(good.read_bytes())
    struct.pack_into(form, data, offset, value)
    with pytest.raises(ToolError, match=reason):
        image.parse(bytes(data), "image")


def test_bytes_after_the_end_are_refused(good):
    with pytest.raises(ToolError, match="1 bytes after the image's end"):
        image.parse(good.read_bytes() + b"\xff", "image")


def test_tlv_met_twice_or_missing_is_refused(good):
    data = good.read_bytes()
    parsed = image.parse(data, "image")
    signed, area = data[: parsed.signed_size], data[parsed.signed_size + 4 :]
    first = area[:36]
    for changed, reason in ((area + first, "met twice"), (area[36:], "is missing"), (area[:72], "exactly one RSA signature")):
        with pytest.raises(ToolError, match=reason):
            image.parse(signed + struct.pack("<HH", 0x6907, len(changed) + 4) + changed, "image")


def test_unknown_tlv_is_passed_over(good):
    data = good.read_bytes()
    parsed = image.parse(data, "image")
    area = data[parsed.signed_size + 4 :] + struct.pack("<HH", 0xA1, 3) + b"abc"
    assert image.parse(data[: parsed.signed_size] + struct.pack("<HH", 0x6907, len(area) + 4) + area, "image").version == parsed.version


def test_versions_are_numbers():
    assert Version.parse("1.0.10") > Version.parse("1.0.9") > Version.parse("1.0.9").__class__(0, 255, 65535, 1)
    assert Version.parse("1.2.3+4") > Version.parse("1.2.3")
    assert str(Version.parse("1.2.3+0")) == "1.2.3"
    assert str(Version.parse("255.255.65535+4294967295")) == "255.255.65535+4294967295"
    for text in ("1.2", "1.2.3.4", "256.0.0", "1.0.65536", "01.0.0", "1.2.3+", "1.2.3 ", "app-1.0.0", "1.2.3+4294967296", "١.0.0"):
        assert Version.parse(text) is None


@pytest.mark.parametrize(
    "options", [["--version", "1.2"], ["--counter", "-1"], ["--counter", "0x100000000"], ["--counter", "x"], ["--bits", "1"]]
)
def test_wrong_usage_is_status_2(shelf, options):
    done = mpota(
        "image", "build", "in", "out", "--board", "tiny", "--product", PK, "--key", "key", "--version", "1.0.0", "--counter", "1", *options
    )
    assert done.returncode == 2
    assert "Usage:" in done.stderr
