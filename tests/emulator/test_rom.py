"""The mask ROM: what it loads, computes, refuses and survives."""

import math
import random
import struct

import pytest
from machine import Board, nor_state, program
from mpota import emulate

RNG = random.Random(1)


def run(folder, code, timeout=10, **settings):
    """Runs a program that stops the machine itself: (status, what it printed, last words)."""
    with Board(folder, {0: program(folder, code)}, **settings) as board:
        status, words = board.wait(timeout)
        while board.port.read(0.2):
            pass
        return status, board.port.heard.decode(), words


def test_program_at_flash_zero_is_loaded_and_entered(tmp_path):
    status, said, _ = run(tmp_path, 'void start(void) { ets_printf("%s %d %04x%c\\n", "hello", -42, 0xbeef, 33); STOP; }')
    assert status == 0
    assert "rst cause:1, boot mode:(3,6)" in said
    assert "hello -42 beef!" in said


@pytest.mark.parametrize("at", [-1, 20])
def test_program_with_bad_checksum_or_byte_is_never_entered(tmp_path, at):
    image = bytearray(program(tmp_path, 'void start(void) { ets_printf("entered\\n"); STOP; }'))
    image[at] ^= 1
    with Board(tmp_path, {0: bytes(image)}) as board:
        board.port.expect("ets_main.c 181")
        board.port.read(0.3)
        assert b"entered" not in board.port.heard


def test_blank_flash_spins(tmp_path):
    with Board(tmp_path, {}) as board:
        board.port.expect("ets_main.c 181")


def test_rom_entry_points_are_where_upstreams_symbols_are(rom):
    import machine
    micropython = machine.source("micropython")
    if micropython is None:
        pytest.skip("no MicroPython sources (MICROPY_DIR)")
    symbols = dict(line.replace("PROVIDE", "").strip(" ();\n").split(" = ", 1)
                   for line in (micropython / "ports/esp8266/boards/eagle.rom.addr.v6.ld").read_text().splitlines() if " = 0x" in line)
    ours = [line[8:-2].split(" = ") for line in (machine.BUILD / "rom" / "rom.ld").read_text().splitlines() if line.startswith("PROVIDE")]
    assert len(ours) > 80
    assert [name for name, address in ours if int(symbols[name], 16) != int(address, 16)] == []


def f32(bits):
    return struct.unpack("<f", struct.pack("<I", bits))[0]


def f64(bits):
    return struct.unpack("<d", struct.pack("<Q", bits))[0]


def bits32(value):
    try:
        return struct.unpack("<I", struct.pack("<f", value))[0]
    except OverflowError:
        return 0x7F800000 if value > 0 else 0xFF800000


def bits64(value):
    return struct.unpack("<Q", struct.pack("<d", value))[0]


def ieee(op, a, b):
    try:
        return {"+": lambda: a + b, "-": lambda: a - b, "*": lambda: a * b, "/": lambda: a / b}[op]()
    except ZeroDivisionError:
        return math.nan if a == 0 or math.isnan(a) else math.copysign(math.inf, a) * math.copysign(1, b)


SPECIAL64 = [0, 1, 0x000FFFFFFFFFFFFF, 0x0010000000000000, 0x3FF0000000000000, 0x3FF0000000000001, 0x7FEFFFFFFFFFFFFF, 0x7FF0000000000000,
             0x7FF8000000000000]
SPECIAL32 = [0, 1, 0x007FFFFF, 0x00800000, 0x3F800000, 0x3F800001, 0x7F7FFFFF, 0x7F800000, 0x7FC00000]


def operands(special, width, count):
    sign = 1 << (width - 1)
    signed = special + [v | sign for v in special]
    near = [RNG.getrandbits(width) for _ in range(count)]
    pairs = [(a, b) for a in signed for b in signed]
    pairs += [(a, RNG.getrandbits(width)) for a in near]
    pairs += [(a, a ^ RNG.getrandbits(12)) for a in near]  # cancellation
    return pairs


def table(name, kind, rows):
    return f"static const {kind} {name}[][3] = {{" + ",".join("{" + ",".join(f"{v:#x}ull" if kind == "uint64_t" else f"{v:#x}u" for v in r) + "}" for r in rows) + "};"


@pytest.mark.parametrize("op", "+-*/")
def test_double_arithmetic_is_ieee(tmp_path, op):
    rows = [(a, b, bits64(ieee(op, f64(a), f64(b)))) for a, b in operands(SPECIAL64, 64, 250)]
    assert_computes(tmp_path, "double", "uint64_t", op, rows, "0x7ff0000000000000ull")


@pytest.mark.parametrize("op", "+-*")
def test_single_arithmetic_is_ieee(tmp_path, op):
    # Exact in double, or rounded twice harmlessly: 53 >= 2 * 24 + 2.
    rows = [(a, b, bits32(ieee(op, f32(a), f32(b)))) for a, b in operands(SPECIAL32, 32, 250)]
    assert_computes(tmp_path, "float", "uint32_t", op, rows, "0x7f800000u")


def assert_computes(folder, real, word, op, rows, infinity):
    status, said, _ = run(folder, f"""
{table("t", word, rows)}
union u {{ {word} w; {real} f; }};
void start(void) {{
    int wrong = 0;
    for (unsigned i = 0; i < sizeof(t) / sizeof(t[0]); i++) {{
        volatile union u a = {{t[i][0]}}, b = {{t[i][1]}};
        union u c, e = {{t[i][2]}};
        c.f = a.f {op} b.f;
        bool nan = (e.w & ~({word})0 >> 1) > {infinity};
        if (nan ? (c.w & ~({word})0 >> 1) <= {infinity} : c.w != e.w) {{
            if (wrong++ < 5) ets_printf("row %d: %x %x\\n", i, (uint32_t)(c.w >> (sizeof(c) == 8 ? 32 : 0)), (uint32_t)c.w);
        }}
    }}
    ets_printf("wrong %d of %d\\n", wrong, sizeof(t) / sizeof(t[0]));
    STOP;
}}""")
    assert status == 0
    assert f"wrong 0 of {len(rows)}" in said, said[-600:]


def test_conversions_and_integer_division(tmp_path):
    words = [0, 1, 2, 7, 10, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF] + [RNG.getrandbits(RNG.randrange(1, 33)) for _ in range(150)]
    rows = [(a, b or 3, a // (b or 3)) for a in words for b in RNG.sample(words, 3)]
    longs = [(RNG.getrandbits(64), RNG.getrandbits(RNG.randrange(1, 65)) or 1) for _ in range(300)]
    status, said, _ = run(tmp_path, f"""
{table("t", "uint32_t", rows)}
{table("l", "uint64_t", [(a, b, a // b) for a, b in longs])}
void start(void) {{
    int wrong = 0;
    for (unsigned i = 0; i < sizeof(t) / sizeof(t[0]); i++) {{
        volatile uint32_t a = t[i][0], b = t[i][1], q = t[i][2];
        volatile int32_t s = (int32_t)a, d = (int32_t)b;
        volatile double f = a, g = (int32_t)a; volatile float h = (float)a;
        wrong += a / b != q || a % b != a - q * b || (uint64_t)a * b != (uint64_t)q * b * b + (uint64_t)(a - q * b) * b;
        if (d != -1) wrong += s / d * d + s % d != s;
        wrong += (uint32_t)f != a || (int32_t)g != (int32_t)a || (a < 1u << 24 && (uint32_t)h != a) || (double)(float)h != h;
    }}
    for (unsigned i = 0; i < sizeof(l) / sizeof(l[0]); i++) {{
        volatile uint64_t a = l[i][0], b = l[i][1], q = l[i][2];
        volatile int64_t s = (int64_t)a, d = (int64_t)b;
        wrong += a / b != q || a % b != a - q * b;
        if (d != 0 && d != -1) wrong += s / d * d + (s - s / d * d) != s;
    }}
    ets_printf("wrong %d\\n", wrong);
    STOP;
}}""")
    assert status == 0
    assert "wrong 0\r" in said, said[-300:]


FLASH = """
static uint32_t buf[1024], back[1024];
static void fill(uint32_t v) { for (int i = 0; i < 1024; i++) buf[i] = v * 0x01010101u; }
"""


def test_flash_programs_by_and_erases_to_ones(tmp_path):
    status, said, _ = run(tmp_path, FLASH + """
void start(void) {
    fill(0xf0); SPIWrite(0x200000, buf, 4096); fill(0x3c); SPIWrite(0x200000, buf, 64);
    SPIRead(0x200000, back, 4096);
    ets_printf("%x %x\\n", back[15], back[16]);
    SPIEraseSector(0x200); SPIRead(0x200000, back, 4096); ets_printf("%x\\n", back[0]);
    fill(0); SPIWrite(0x21f000, buf, 4); SPIWrite(0x220000, buf, 4); SPIEraseBlock(0x21);
    SPIRead(0x21f000, back, 4); SPIRead(0x220000, back + 1, 4); ets_printf("%x %x %d\\n", back[0], back[1], SPIRead(0x400000, back, 4));
    STOP;
}""", state=tmp_path / "state")
    assert status == 0
    assert "30303030 f0f0f0f0\r\nffffffff\r\nffffffff 0 1" in said
    operations, programs, erases, wear = nor_state(tmp_path / "state")
    assert (operations, programs, erases) == (132 + 2, 128 + 2 + 2, 2)
    assert wear[0x200] == 1 and wear[0x210:0x220] == (1,) * 16 and sum(wear) == 17


@pytest.mark.parametrize("code, message", [
    ("Cache_Read_Enable(0, 0, 1); SPIRead(0, back, 4);", "SPIRead with the cache on"),
    *((f"Cache_Read_Enable(0, 0, 1); {name}({arguments});", f"{name} with the cache on") for name, arguments in (
        ("SPIWrite", "0x200000, buf, 4"), ("SPIEraseSector", "5"), ("SPIEraseBlock", "5"), ("SPIEraseArea", "0x200000, 4096"),
        ("SPIEraseChip", ""), ("SPIUnlock", ""), ("SPILock", ""), ("SPIReadModeCnfig", "2"), ("SPI_read_status", "flashchip, back"),
        ("SPI_write_status", "flashchip, 0"), ("SPI_write_enable", "flashchip"), ("Wait_SPI_Idle", "flashchip"))),
    ("SPIWrite(0x200000, (uint32_t *)((char *)buf + 2), 4);", "SPIWrite: address, buffer"),
    ("SPIWrite(0x200000, buf, 6);", "SPIWrite: address, buffer"),
    ("SPIRead(0, (char *)back + 1, 4);", "SPIRead: buffer or length"),
    ("SPIRead(0, back, 5);", "SPIRead: buffer or length"),
    ("SPIWrite(2, buf, 4);", "SPIWrite: address"),
    ("*(volatile uint32_t *)0x3fffc714 = 0; SPIRead(0, back, 4);", "ROM's data"),
    ("Cache_Read_Enable(0, 0, 1); back[0] = *(volatile uint8_t *)0x40210003;", "less than a word to 40210003"),
    ("Cache_Read_Enable(0, 0, 1); back[0] = *(volatile int16_t *)0x40210002;", "less than a word to 40210002"),
    ("*(volatile uint8_t *)0x40104000 = 1;", "less than a word to 40104000"),
    ("*(volatile uint16_t *)0x40107ffe = 1;", "less than a word to 40107ffe"),
    ("Cache_Read_Enable(0, 0, 1); ets_printf((const char *)0x40210000);", "less than a word to 40210000"),
])
def test_what_would_hang_or_corrupt_the_chip_stops_the_machine(tmp_path, code, message):
    status, _, words = run(tmp_path, FLASH + "void start(void) { " + code + " STOP; }")
    assert status == emulate.EXIT_MISUSE
    assert message in words


def test_setting_a_cleared_bit_stops_a_strict_machine(tmp_path):
    code = FLASH + "void start(void) { fill(0); SPIWrite(0x200000, buf, 32); fill(1); SPIWrite(0x200000, buf, 32); STOP; }"
    assert run(tmp_path / "loose", code)[0] == 0
    assert run(tmp_path / "strict", code, strict=True)[0] == emulate.EXIT_MISUSE


def test_window_shows_the_bank_asked_for_and_its_changes(tmp_path):
    code = """
void start(void) {
    static uint32_t zero;
    volatile uint32_t *w = (volatile uint32_t *)0x40280000;
    for (int bank = 0; bank < 4; bank++) { Cache_Read_Enable(bank & 1, bank >> 1, 1); ets_printf("%d:%x ", bank, *w); Cache_Read_Disable(); }
    Cache_Read_Enable(1, 0, 1); Cache_Read_Disable(); SPIWrite(0x180000, &zero, 4); Cache_Read_Enable(1, 0, 1); ets_printf("then %x\\n", *w);
    STOP;
}"""
    parts = {0: program(tmp_path, code)} | {bank << 20 | 0x80000: bytes([0x11 * bank] * 4) for bank in range(4)}
    with Board(tmp_path, parts) as board:
        board.port.expect("0:0 1:11111111 2:22222222 3:33333333 then 0")


def test_code_runs_in_the_window_and_illegally_without_it(tmp_path):
    code = """
void IROM there(void) { ets_printf("in place\\n"); }
void start(void) { if (%d) Cache_Read_Enable(0, 0, 1); there(); STOP; }"""
    for mapped in (1, 0):
        import machine
        entry, segments = machine.esp8266.elf_segments(machine.elf(tmp_path / str(mapped), code % mapped, 0x40220000))
        parts = {0: machine.esp8266.pack(entry, segments[1:]), 0x20000: segments[0].data}
        with Board(tmp_path / str(mapped), parts) as board:
            board.port.expect("in place" if mapped else "Fatal exception \\(0\\)")


def test_flash_functions_refuse_to_return_into_flash(tmp_path):
    import machine
    code = """
static volatile uint32_t word;
void IROM there(void) { Cache_Read_Disable(); SPIRead(0, (void *)&word, 4); word++; }
void start(void) { Cache_Read_Enable(0, 0, 1); there(); STOP; }"""
    entry, segments = machine.esp8266.elf_segments(machine.elf(tmp_path, code, 0x40220000))
    with Board(tmp_path, {0: machine.esp8266.pack(entry, segments[1:]), 0x20000: segments[0].data}) as board:
        status, words = board.wait(10)
    assert status == emulate.EXIT_MISUSE and "code in flash" in words


def test_resets_have_their_reasons_and_keep_rtc_memory(tmp_path):
    code = """
void start(void) {
    volatile uint32_t *rtc = (volatile uint32_t *)0x60001200;
    uint32_t reason = rtc_get_reset_reason();
    ets_printf("reason %d count %d\\n", reason, rtc[0]++);
    if (reason == 1) { ets_wdt_enable(4, 5, 5); for (;;) { } }
    if (reason == 4 && rtc[0] == 2) ((void (*)(void))0x40000080)();
    for (;;) { }
}"""
    with Board(tmp_path, {0: program(tmp_path, code)}) as board:
        for reason, count in ((1, 0), (4, 1), (4, 2)):
            board.port.expect(f"reason {reason} count {count}")
        board.reset()
        board.port.expect("reason 2 count 3")
        board.power_off()
        board.power_on()
        board.port.expect("reason 1 count 0")


def test_software_reset_of_the_chip_ends_in_the_rom(tmp_path):
    """It lets go of the flash, and the ROM attaches it for other causes only."""
    code = """
void start(void) {
    ets_printf("reason %d\\n", rtc_get_reset_reason());
    if (rtc_get_reset_reason() == 1) software_reset();
    for (;;) { }
}"""
    with Board(tmp_path, {0: program(tmp_path, code)}) as board:
        board.port.expect("reason 1.*rst cause:3.*ets_main.c 181")
        board.reset()
        board.port.expect("rst cause:2.*reason 2")


def test_serial_speed_hangs_on_the_clock(tmp_path):
    """A reset of the chip, not a jump to the ROM, leaves it at 52 MHz."""
    code = """
void start(void) {
    volatile uint32_t *rtc = (volatile uint32_t *)0x60001200;
    uart_div_modify(0, 80000000 / 115200);
    ets_printf("[clock 52]\\n");
    uart_div_modify(0, 52000000 / 115200);
    ets_printf("[clock 80 or not]\\n");
    rom_i2c_writeReg(103, 4, 1, 136);
    rom_i2c_writeReg(103, 4, 2, 145);
    uart_div_modify(0, 80000000 / 115200);
    ets_printf("[start %d]\\n", rtc[0]);
    if (rtc[0]++ == 0) ((void (*)(void))0x40000080)();
    for (;;) { }
}"""
    with Board(tmp_path, {0: program(tmp_path, code)}) as board:
        board.port.expect(r"\[clock 80 or not\].*\[start 0\].*\[clock 52\].*\[start 1\]")
        assert board.port.heard.count(b"[clock") == 2


def test_fed_watchdog_does_not_bite(tmp_path):
    code = """
void start(void) {
    ets_printf("reason %d\\n", rtc_get_reset_reason());
    ets_wdt_enable(4, 5, 5);
    for (int i = 0; i < 100; i++) { ets_delay_us(10000); WDT_FEED = WDT_FEED_KEY; }
    ets_printf("alive\\n"); ets_delay_us(10000000);
}"""
    with Board(tmp_path, {0: program(tmp_path, code)}) as board:
        board.port.expect("reason 1.*alive.*reason 4")


def test_watchdog_bites_a_program_that_masks_interrupts(tmp_path):
    code = """
void start(void) {
    ets_printf("reason %d\\n", rtc_get_reset_reason());
    ets_wdt_enable(4, 5, 5);
    irq_lock();
    for (;;) { }
}"""
    with Board(tmp_path, {0: program(tmp_path, code)}, watchdog_ms=300) as board:
        board.port.expect("reason 1.*reason 4.*reason 4")


CUT = FLASH + """
void start(void) {
    SPIRead(0x200000, back, 4096);
    uint32_t ones = 0, all = ~0u;
    for (int i = 0; i < 1024; i++) { all &= back[i]; ones += __builtin_popcount(back[i]); }
    ets_printf("ones %d all %x\\n", ones, all);
    if (ones == 32768) { fill(0x55); SPIWrite(0x200000, buf, 4096); SPIEraseSector(0x200); }
    STOP;
}"""


@pytest.mark.parametrize("kind", range(5))
def test_power_cut_inside_a_program_leaves_a_part_of_it(tmp_path, kind):
    status, _, words = run(tmp_path, CUT, cut_at=4, cut_kind=kind, cut_seed=7)
    assert status == emulate.EXIT_POWER_CUT and "power cut" in words
    flash = (tmp_path / "flash.bin").read_bytes()[0x200000:0x201000]
    assert flash[:96] == b"\x55" * 96 and flash[128:] == b"\xff" * (4096 - 128)
    piece = flash[96:128]
    assert all(byte & 0x55 == 0x55 for byte in piece)
    if kind in (0, 3, 4):
        assert piece == (b"\xff" if kind == 0 else b"\x55") * 32
    else:
        assert piece not in (b"\xff" * 32, b"\x55" * 32)


@pytest.mark.parametrize("kind", range(9))
def test_power_cut_inside_an_erase_leaves_one_of_its_shapes(tmp_path, kind):
    status, _, _ = run(tmp_path, CUT, cut_at=129, cut_kind=kind, cut_seed=7)
    assert status == emulate.EXIT_POWER_CUT
    flash = (tmp_path / "flash.bin").read_bytes()[0x200000:0x201000]
    ones = sum(byte.bit_count() for byte in flash)
    low, high = [(16384, 16384), (6000, 10000), (0, 0), (15000, 18000), (32768, 32768), (32768, 32768), (14000, 21000),
                 (15500, 16380), (32500, 32767)][kind]
    assert low <= ones <= high


def test_what_a_cut_left_unstable_reads_differently_until_erased(tmp_path):
    code = FLASH + """
void start(void) {
    int changes = 0;
    if (%d) { fill(0); SPIWrite(0x200000, buf, 32); }
    SPIRead(0x200000, back, 4);
    for (int i = 0; i < 50; i++) { uint32_t last = back[0]; SPIRead(0x200000, back, 4); changes += back[0] != last; }
    SPIEraseSector(0x200); SPIRead(0x200000, back, 4);
    ets_printf("changes %%d then %%x\\n", changes, back[0]);
    STOP;
}"""
    state = tmp_path / "state"
    assert run(tmp_path, code % 1, cut_at=1, cut_kind=4, state=state)[0] == emulate.EXIT_POWER_CUT
    flash = tmp_path / "flash.bin"
    flash.write_bytes(program(tmp_path, code % 0).ljust(0x10000, b"\xff") + flash.read_bytes()[0x10000:])
    with Board(tmp_path, None, state=state) as board:
        changes = int(board.port.expect(r"changes (\d+) then ffffffff").group(1))
    assert changes > 15
