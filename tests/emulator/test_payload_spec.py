"""SPEC.md section 6 against the code."""

import re

from machine import BOARD, IROM, REPO

SECTION = re.search(r"^## 6\. .*?(?=^## |\Z)", (REPO / "SPEC.md").read_text(), re.M | re.S)[0]
LOADER = (REPO / "ota" / "second_boot" / "esp8266.c").read_text()
HANDOVER = (REPO / "ota" / "second_boot" / "handover.h").read_text()


def rows(first):
    """Rows of the table whose first column is called `first`."""
    for block in re.findall(r"(?:^\|.*\n)+", SECTION, re.M):
        cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in block.splitlines()]
        if cells[0][0] == first:
            yield [dict(zip(cells[0], row)) for row in cells[2:]]


def test_memory_an_image_may_fill_is_the_loaders():
    memory = {row["memory"]: row for row in next(rows("memory"))}
    assert f"#define IRAM_START {memory['IRAM']['first'].lower()}u" in LOADER
    assert f"#define IRAM_END {memory['IRAM']['end'].lower()}u" in LOADER
    assert f"#define DRAM_START {memory['DRAM']['first'].lower()}u" in LOADER
    script = (REPO / "ota" / "second_boot" / "esp8266.lds").read_text()
    assert f"data (rw) : ORIGIN = {memory['DRAM']['end'].lower()}" in script
    for row in memory.values():
        assert int(row["end"], 16) - int(row["first"], 16) == int(row["bytes"])


def test_payload_fields_and_address_are_the_codes():
    magic = next(rows("offset"))[0]["meaning"]
    assert f"#define IMAGE_MAGIC {magic.lower()}u" in LOADER
    assert f"{IROM:#x}" in SECTION


def test_handover_lies_at_the_end_of_rtc_user_memory():
    words = next(rows("address"))
    assert int(words[0]["address"], 16) == BOARD.handover
    assert words[0]["meaning"].lower() in HANDOVER
    at = BOARD.handover
    for row in words:
        assert int(row["address"], 16) == at
        at += int(row["size"])
    assert at == 0x60001200 + 512
