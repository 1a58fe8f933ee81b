"""The tables of SPEC.md against the C core, sections 1, 2 and 5, and against the device's Python, CoAP and parameters."""

import re
import struct

import otacore
from otacore import CORE, REPO, Mark, c, image, image_verify, tlvs

SPEC = (REPO / "SPEC.md").read_text()


def section(number):
    return re.search(rf"^## {number}\. .*?(?=^## |\Z)", SPEC, re.M | re.S)[0]


def tables(number):
    """Each table of a section as rows of {column: text}."""
    found = []
    for block in re.findall(r"(?:^\|.*\n)+", section(number), re.M):
        rows = [[cell.strip() for cell in line.strip().strip("|").split("|")] for line in block.splitlines()]
        found.append([dict(zip(rows[0], row)) for row in rows[2:]])
    return found


def source(name):
    return (CORE / name).read_text()


def fields(data, table):
    """Every field of a record, little-endian, by the table that describes it."""
    cut = {row["field"]: data[int(row["offset"]):int(row["offset"]) + int(row["size"])] for row in table}
    return {name: int.from_bytes(value, "little") for name, value in cut.items()}


def test_header_fields_stand_where_the_spec_says():
    data = image(header=0x40, version="1.2.3+4")
    r, info = image_verify(data)
    stated = fields(data, tables(1)[0])
    version = struct.pack("<BBHI", info.version.major, info.version.minor, info.version.revision, info.version.build)
    assert r == 0
    assert stated["header_size"] == info.header_size == 0x40
    assert stated["payload_size"] == info.payload_size
    assert stated["flags"] == info.flags
    assert stated["version"] == int.from_bytes(version, "little")
    assert stated["protected_size"] == struct.unpack_from("<H", data, 0x40 + info.payload_size + 2)[0]


def test_header_table_covers_the_header_without_gaps():
    end = 0
    for row in tables(1)[0]:
        assert int(row["offset"]) == end
        end += int(row["size"])
    assert end == 32 and "OTA_IMAGE_HEADER_BYTES 32u" in source("image.h")


def test_header_limits_are_the_specs():
    rows = {row["field"]: row["meaning"] for row in tables(1)[0]}
    text = source("image.c")
    assert re.search(r"#define MAGIC (\w+)u", text)[1] == rows["magic"]
    low, high = re.search(r"(\d+)\.\.(\d+)", rows["header_size"]).groups()
    assert low == "32" and f"#define MAX_HEADER_BYTES {high}u" in text
    flag = re.search(r"0x\w+", rows["flags"])[0]
    assert f"#define OTA_IMAGE_FLAG_NON_BOOTABLE {flag}u" in source("image.h")
    protected, unprotected = re.search(r"(0x\w+) protected, (0x\w+) unprotected", section(1)).groups()
    assert f"#define AREA_PROTECTED {protected}u" in text and f"#define AREA_UNPROTECTED {unprotected}u" in text


def test_tags_names_and_areas_are_the_specs():
    stated = {(row["tag"], row["name"], row["area"].upper()) for row in tables(1)[1]}
    coded = re.findall(r"\{(0x\w+), AREA_(\w+), (\d+), .*?// (\w+)", source("image.c"))
    assert {(tag, name, area) for tag, area, _, name in coded} == stated


def test_tlv_sizes_are_those_imgtool_writes():
    coded = {int(tag, 16): int(size) for tag, size in re.findall(r"\{(0x\w+), AREA_\w+, (\d+),", source("image.c"))}
    met = {tag: size for key in ("test-rsa2048", "test-rsa3072") for tag, (_, size) in tlvs(image(key=key)).items()}
    assert met == coded


def test_mark_fields_stand_where_the_spec_says():
    m = Mark(ord("S"), 0x11, 0x22334455, (c.c_uint8 * 6)(*range(1, 7)))
    out = c.create_string_buffer(16)
    otacore.lib().ota_mark_encode(out, c.byref(m))
    stated = fields(out.raw, tables(2)[0])
    assert stated == {"kind": ord("S"), "arg": 0x11, "number": 0x22334455, "tail": int.from_bytes(range(1, 7), "little"),
                      "crc": otacore.zlib.crc32(out.raw[:12])}
    assert sum(int(row["size"]) for row in tables(2)[0]) == 16


def test_mark_kinds_are_the_specs():
    stated = {row["mark"].upper(): row["kind"] for row in tables(2)[1]}
    assert dict(re.findall(r"OTA_MARK_(\w+) = '(.)'", source("trailer.h"))) == stated


def test_marks_kept_twice_are_the_specs():
    """The second boot mends exactly those it may write: complete, confirmed, rejected."""
    twice = {row["mark"] for row in tables(2)[1] if row["copies"] == "2"}
    mended = {name.lower() for name in re.findall(r"OTA_MARK_(\w+)", re.search(r"static void mend.*?\n}", source("boot.c"), re.S)[0])}
    assert mended == twice - {"started"}


def test_artifact_types_and_steps_are_the_specs():
    rows = {row["mark"]: row["arg"] for row in tables(2)[1]}
    stated = {name.upper(): int(value) for value, name in re.findall(r"(\d) (\w+)", rows["started"])}
    assert {name: int(v) for name, v in re.findall(r"OTA_ARTIFACT_(\w+) = (\d)", source("trailer.h"))} == stated
    slot = constants("slot.py")
    assert rows["progress"] == f"step 1..{slot['STEPS']}, of an install 1..{slot['INSTALL_STEPS']}, or 0: resumed there"
    assert f"The last {slot['KEPT']} are not for progress" in section(2)


def test_error_numbers_are_the_specs():
    stated = {row["name"]: int(row["code"]) for row in tables(5)[0]}
    coded = {name: int(code) for name, code in re.findall(r"OTA_(E_\w+) = -(\d+)", source("ota.h"))}
    assert coded and coded.items() <= stated.items()
    assert f"#define REASON_TRIES {stated['E_TRIES']}u" in source("boot.c")


def test_error_codes_are_unique_and_negative_steps():
    rows = tables(5)[0]
    assert len({row["code"] for row in rows}) == len({row["name"] for row in rows}) == len(rows)
    assert {row["step"] for row in rows} <= {"-1", "-2", "-3", "-4"}


def constants(path):
    """Every `NAME = const(number)` of a file of the device."""
    return {name.lstrip("_"): int(value) for name, value in re.findall(r"^(\w+) = const\((\d+)\)", (REPO / "ota" / path).read_text(), re.M)}


def test_coap_options_are_the_specs():
    options = next(table for table in tables(4) if "option" in table[0])
    stated = [(row["option"], int(row["number"])) for row in options]
    session = constants("transport/coap_session.py")
    assert stated == [("token", session["TOKEN_OPTION"]), ("token", session["TOKEN_OPTION_SDK"]),
                      ("Content-Format", session["CONTENT_FORMAT"]), ("Accept", session["ACCEPT"])]
    assert f"1..{session['TOKEN_MAX']} characters" in section(4)
    assert f"at most {constants('transport/coap_link.py')['DATAGRAM']} bytes" in section(4)


def test_names_of_parameters_are_the_specs():
    stated = {name for row in tables(7)[1] for name in row["name"].split(", ")}
    text = (REPO / "ota" / "settings.py").read_text()
    assert stated == set(re.findall(r'"(\w+)"', "".join(re.findall(r"^_(?:KEYS|REGISTERED) = .*$", text, re.M))))
    assert f"at most {constants('settings.py')['VALUE_MAX']} characters" in section(7)
