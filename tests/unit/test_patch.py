"""Patches: round trips, the oracle, refusals, damage."""

import contextlib
import hashlib
import math
import random
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tools"), str(ROOT / "tests")]

import patch_board
import patch_oracle
from mpota import patch
from patch_pairs import edited, linked_pair, moved_pair, padded, words

VECTORS = ROOT / "tests" / "vectors" / "patch-4"
ARCHS = patch.ARCHS
STATES = (16384, 8192, 6144, 4096)
many = settings(max_examples=700, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)


def decode(old, data, cuts=(), state=16384):
    """Decodes a patch fed in pieces that end at `cuts`."""
    decoder = patch.Decoder(old, state, sector=64)
    ends = sorted({c for c in cuts if c < len(data)} | {len(data)})
    new, at = b"", 0
    for end in ends:
        new += decoder.push(data[at:end])
        at = end
    return new + decoder.finish()


def round_trip(old, new, arch, state=16384, seed=0):
    data = patch.make(old, new, arch, state)
    rng = random.Random(seed)
    assert decode(old, data) == new
    assert decode(old, data, range(len(data))) == new
    assert decode(old, data, [rng.randrange(len(data)) for _ in range(8)]) == new
    assert patch_oracle.apply(old, data) == new
    return data


def refused(old, data, code):
    with pytest.raises(patch.PatchError) as e:
        patch.apply(old, data)
    assert e.value.code == code


@many
@given(old=st.binary(max_size=400), new=st.binary(max_size=400), arch=st.sampled_from(ARCHS), state=st.sampled_from(STATES))
def test_unrelated_images_round_trip(old, new, arch, state):
    round_trip(old, new, arch, state)


edits = st.lists(st.tuples(st.integers(0, 1 << 16), st.integers(0, 40), st.binary(max_size=40)), max_size=6)


@many
@given(seed=st.integers(0, 1 << 32), size=st.integers(0, 1500), edits=edits, arch=st.sampled_from(ARCHS), state=st.sampled_from(STATES))
def test_edited_images_round_trip(seed, size, edits, arch, state):
    old = random.Random(seed).randbytes(size)
    round_trip(old, edited(old, edits), arch, state, seed)


@many
@given(seed=st.integers(0, 1 << 32), arch=st.sampled_from(ARCHS), state=st.sampled_from(STATES))
def test_relinked_programs_round_trip(seed, arch, state):
    old, new = linked_pair(seed, arch, 20)
    round_trip(old, new, arch, state, seed)


def test_moved_addresses_cost_less_than_plain_bytes():
    for arch in ("xtensa", "thumb", "arm"):
        old, new = linked_pair(7, arch, 400)
        assert len(patch.make(old, new, arch)) < len(patch.make(old, new, "raw")) * 0.8, arch


def test_same_input_gives_the_same_patch():
    old, new = linked_pair(3, "thumb", 200)
    assert patch.make(old, new) == patch.make(old, new)


@pytest.mark.parametrize("state", STATES)
def test_patch_keeps_to_its_state_budget(state):
    old, new = linked_pair(5, "xtensa", 300)
    data = patch.make(old, new, "xtensa", state)
    assert patch.info(data)["state_bytes"] <= state
    assert decode(old, data, state=state) == new


def test_empty_images_round_trip():
    for old, new in ((b"", b""), (b"", b"abc" * 20), (b"abc" * 20, b"")):
        round_trip(old, new, "auto")


@pytest.mark.parametrize("arch", ARCHS)
def test_erased_flash_in_and_behind_an_image_costs_little(arch):
    old, new = linked_pair(11, arch, 100)
    round_trip(old, padded(random.Random(1), new), arch)
    gap = new[:1000] + b"\xff" * 70000 + new[1000:] + b"\xff" * 70000
    data = patch.make(old, gap, arch)
    assert len(data) < len(patch.make(old, new, arch)) + 100 and patch.apply(old, data) == gap


@pytest.mark.parametrize(("seed", "arch"), [(21, "thumb"), (35, "raw"), (133, "thumb")])
def test_erased_flash_whose_start_a_step_has_passed_costs_little(seed, arch):
    old, new = linked_pair(seed, "xtensa" if arch == "raw" else arch)
    filled = padded(random.Random(seed), new)
    made = patch.make(old, filled, arch)
    assert patch.apply(old, made) == filled
    assert len(made) < len(patch.make(old, new, arch)) + 150


@pytest.mark.parametrize("arch", ["xtensa", "thumb", "arm", "raw"])
def test_padding_of_any_byte_costs_little(arch):
    old, new = linked_pair(5, "xtensa" if arch == "raw" else arch, 300)
    size = len(patch.make(old, new, arch))
    for byte in (b"\0", b"\xa5"):
        assert len(patch.make(old, new + byte * 40000, arch)) < size + 20


def test_sector_of_many_changes_in_a_long_copy_costs_less_than_new_bytes():
    rng = random.Random(4)
    old = rng.randbytes(24000)
    new = bytearray(old)
    at = 8192
    while at < 12288:
        new[at] ^= rng.randrange(1, 256)
        at += rng.randrange(1, 8)
    assert len(patch.make(old, bytes(new), "raw")) < 2900


def test_erased_flash_alone_costs_little():
    for old in (b"", b"abc"):
        assert len(round_trip(old, b"\xff" * 5000, "raw")) < 100


def test_a_long_run_of_a_byte_that_the_base_has_in_short_runs_only_costs_little():
    rng = random.Random(6)
    old = b"".join(rng.randbytes(200) + bytes(40) for _ in range(100))
    new = old[:1000] + bytes(30000) + old[1000:]
    assert len(round_trip(old, new, "raw")) < 150


@pytest.mark.parametrize("arch", ARCHS)
def test_what_has_no_structure_costs_what_it_has(arch):
    old, new = linked_pair(11, arch, 100)
    noise = random.Random(7).randbytes(20000)
    cost = len(round_trip(old, new[:1000] + noise + new[1000:], arch)) - len(patch.make(old, new, arch))
    assert cost < len(noise) * 1.006 + 20, cost


def test_a_call_to_the_other_end_of_the_address_space_round_trips():
    old = b"".join(b"\x90" * 20 + b"\xe8" + (16 * i).to_bytes(4, "little") for i in range(12))
    new = bytearray(b"moved by" + old)
    new[8 + 25 * 5 + 24] ^= 0x80
    round_trip(old, bytes(new), "x86-64")


def test_info_says_what_the_header_says():
    old, new = linked_pair(4, "xtensa", 400)
    i = patch.info(patch.make(old, new, "xtensa"))
    assert (i["arch"], i["base_size"], i["result_size"]) == ("xtensa", len(old), len(new))
    assert i["base_sha256"] == hashlib.sha256(old).hexdigest()
    assert i["result_sha256"] == hashlib.sha256(new).hexdigest()


# ---- refusals: a header whose fields are given one by one, and a body that is never reached


def number(v):
    out = b""
    while v > 127:
        out += bytes([v & 127 | 128])
        v >>= 7
    return out + bytes([v])


OLD = bytes(range(256)) * 4
GOOD = {
    "magic": b"mP", "version": b"\4", "arch": b"\x12", "bits": b"\xa0", "state_bytes": b"\x28",
    "old_size": number(len(OLD)), "new_size": number(0), "base": number(0x08000000), "window": number(0x2000) + number(16),
    "old_sha256": hashlib.sha256(OLD).digest(), "new_sha256": bytes(32),
}


def header(**fields):
    return b"".join({**GOOD, **fields}.values())


def test_the_header_that_the_refusals_start_from_is_accepted():
    info = patch.info(header() + bytes(40))
    assert info["base_size"] == len(OLD)
    assert info["format"] == int(re.search(r"\| version \| 1 \| (\d+) \|", (ROOT / "SPEC.md").read_text())[1])


def test_logistic_curve_and_first_weights_are_what_the_spec_says():
    spec = (ROOT / "SPEC.md").read_text()
    curve = [int(n) for n in re.search(r"but at least 1: ([\d, ]+)\.", spec)[1].split(",")]
    assert curve == patch_oracle.LOGISTIC == [max(1, round(65536 / (1 + math.exp(n / 2)))) for n in range(25)]
    code = re.search(r"logistic\[\] = {([^}]+)}", (ROOT / "ota" / "core" / "patch_symbols.c").read_text())[1]
    assert curve == [int(n) for n in code.split(",")]
    rows = spec[spec.index("| own weights |") :].partition("\n\n")[0]
    code = re.findall(r"FIRST\([^,]+, (-?\d+)\)", (ROOT / "ota" / "core" / "patch_model.c").read_text())
    assert set(re.findall(r"-\d{3,}", rows)) == set(code) - {"0"} and re.search(r"F_AGAIN \| 0 \|", rows)


@pytest.mark.parametrize("lean", range(4))
@pytest.mark.parametrize("shift", range(5, 14))
def test_state_is_what_the_spec_says(lean, shift):
    fixed, tables = map(int, re.search(r"needs, (\d+) \+ \((\d+) >> lean\) \+ 2 · regions", (ROOT / "SPEC.md").read_text()).groups())
    regions = -(-(len(OLD) + 4096) >> shift) + (-(-0x10000 >> shift))
    need = -(-(fixed + (tables >> lean) + 2 * regions) // 256)
    fields = {"bits": bytes([shift << 4 | lean])}
    assert patch.info(header(state_bytes=bytes([need]), **fields) + bytes(40))["lean"] == lean
    refused(OLD, header(state_bytes=bytes([need - 1]), **fields) + bytes(40), 1071)


@pytest.mark.parametrize(
    "field, value, code",
    [
        ("magic", b"mQ", 1070),
        ("magic", b"\x3d\xb8", 1070),
        ("version", b"\3", 1071),
        ("version", b"\5", 1071),
        ("arch", b"\x15", 1071),
        ("arch", b"\x42", 1071),
        ("bits", b"\xa4", 1071),
        ("bits", b"\x40", 1071),
        ("bits", b"\xe0", 1071),
        ("state_bytes", b"\x0c", 1071),
        ("old_size", number(0x1000001), 1071),
        ("old_size", b"\xff\xff\xff\xff\x7f", 1071),
        ("old_size", b"\x80" * 6 + b"\1", 1071),
        ("new_size", number(2 * 0x1000001), 1071),
        ("new_size", number(2 * len(OLD) + 1), 1071),
        ("window", number(1 << 16) + number(16), 1071),
        ("window", number(0x2000) + number(0), 1071),
        ("window", number(0x2000) + number(0x1001), 1071),
        ("old_sha256", bytes(32), 1073),
    ],
)
def test_a_bad_header_field_is_refused(field, value, code):
    refused(OLD, header(**{field: value}) + bytes(40), code)


@pytest.mark.parametrize("field, before", [("old_size", b""), ("new_size", b""), ("base", b""), ("window", b""), ("window", number(0x200))])
def test_a_number_of_more_than_32_bits_is_refused(field, before):
    for wide in (b"\xff\xff\xff\xff\x10", b"\x80" * 5 + b"\1"):
        refused(OLD, header(**{field: before + wide}) + bytes(40), 1071)


def test_a_result_with_another_hash_is_refused():
    data = bytearray(patch.make(OLD, OLD[:500]))
    at = data.index(hashlib.sha256(OLD[:500]).digest())
    data[at] ^= 1
    refused(OLD, bytes(data), 1005)


def test_a_base_of_another_size_is_refused():
    refused(OLD + b"x", patch.make(OLD, OLD[:500]), 1073)


def test_a_wrong_base_is_found_before_the_first_byte_is_put_out():
    old, new = linked_pair(9, "thumb", 100)
    wrong = bytes([old[0] ^ 1]) + old[1:]
    decoder = patch.Decoder(wrong)
    put_out = []
    with pytest.raises(patch.PatchError) as e:
        for piece in decoder._run(decoder._lib.ota_patch_push, patch.make(old, new)):
            put_out.append(piece)
    assert e.value.code == 1073 and not put_out and not decoder.reads


def test_more_state_than_there_is_is_refused():
    old, new = linked_pair(9, "thumb", 100)
    data = patch.make(old, new, state=16384)
    with pytest.raises(patch.PatchError) as e:
        decode(old, data, state=patch.info(data)["state_bytes"] - 300)
    assert e.value.code == 1072


def test_a_state_buffer_that_is_too_small_or_unaligned_is_refused():
    lib = patch._decoder()
    buffer = (patch.ctypes.c_uint32 * 1024)()
    at = patch.ctypes.addressof(buffer)
    assert lib.ota_patch_init(patch.ctypes.c_void_p(at), 2047) == -1072
    assert lib.ota_patch_init(patch.ctypes.c_void_p(at + 2), 3000) == -1072


def test_bytes_after_the_end_are_refused():
    old, new = linked_pair(9, "thumb", 100)
    refused(old, patch.make(old, new) + bytes([1] * 5), 1075)


def test_every_cut_is_refused():
    old, new = linked_pair(11, "thumb", 30)
    data = patch.make(old, new)
    for n in range(len(data)):
        with pytest.raises(patch.PatchError) as e:
            patch.apply(old, data[:n])
        assert e.value.code in (1005, 1074, 1075), n


def test_a_failing_read_ends_the_patch_for_good():
    old, new = linked_pair(12, "thumb", 100)
    data = patch.make(old, new)
    decoder = patch.Decoder(old)
    decoder._io = patch._Io(None, patch._READ(lambda *_: -1060))
    for _ in range(2):
        with pytest.raises(patch.PatchError) as e:
            decoder.push(data)
        assert e.value.code == 1060


def test_damage_never_gives_another_image():
    rng = random.Random(1)
    old, new = linked_pair(13, "thumb", 60)
    data = patch.make(old, new)
    for _ in range(600):
        bad = bytearray(data)
        for _ in range(rng.randrange(1, 4)):
            bad[rng.randrange(len(bad))] ^= 1 << rng.randrange(8)
        try:
            assert patch.apply(old, bytes(bad)) == new
        except patch.PatchError:
            pass


def test_damaged_patches_stay_in_bounds_under_the_sanitizers(tmp_path):
    if not shutil.which("clang"):
        pytest.skip("clang is not installed")
    fuzzer = build_fuzzer(tmp_path)
    seeds = tmp_path / "seeds"
    seeds.mkdir()
    write_seeds(seeds)
    subprocess.run([fuzzer, "-runs=30000", "-seed=1", "-max_len=4096", "-print_final_stats=0", str(seeds)], check=True, cwd=tmp_path,
                   capture_output=True)


def build_fuzzer(where):
    out = Path(where) / "fuzz_patch"
    sources = [ROOT / "tests" / "fuzz" / "fuzz_patch.c", *(ROOT / "ota" / "core" / f for f in patch_board.CORE)]
    subprocess.run(["clang", "-std=c99", "-g", "-O1", "-fsanitize=fuzzer,address,undefined", "-fno-sanitize-recover=all",
                    f"-I{ROOT / 'ota' / 'core'}", *map(str, sources), "-o", str(out)], check=True)
    return str(out)


def write_seeds(where):
    for i, arch in enumerate(ARCHS):
        for state in (16384, 4096):
            old, new = linked_pair(20 + i, arch, 20)
            data = patch.make(old, new, arch, state)
            (where / f"{arch}-{state}").write_bytes(b"\0" + len(old).to_bytes(2, "little") + old + data)


# ---- steps that need much input


class Contrary:
    """A coder that writes the stream it is asked for, mostly the less likely way: no encoder's step takes so much input."""

    def __init__(self, seed):
        self.random, self.low, self.range, self.size = random.Random(seed), 0, 0xFFFFFFFF, 4
        self.verbatim = []  # (how many of the coder's bytes come before, byte)
        self.forced = None
        self.at, self.body = 0, b""

    def decide(self, k, p):
        bit = int(2 * p < 1 << k) if 2 * p != 1 << k and self.random.random() < 0.9 else self.random.getrandbits(1)
        bit = bit if self.forced is None else self.forced
        bound = (self.range >> k) * p
        self.low, self.range = (self.low, bound) if bit else (self.low + bound, self.range - bound)
        while self.range < 1 << 24:
            self.range, self.low, self.size = self.range << 8, self.low << 8, self.size + 1
        return bit

    def next(self):
        self.verbatim.append((self.size, self.random.randrange(256)))
        return self.verbatim[-1][1]

    def stream(self):
        coded, stream, done = self.low.to_bytes(self.size, "big"), bytearray(), 0
        for at, byte in self.verbatim:
            stream += coded[done:at] + bytes([byte])
            done = at
        return bytes(stream) + coded[done:]


class InGap(patch_oracle.Decoder):
    """Writes a patch that starts these kinds of copies at once, then none."""

    kinds, unknown = (), 11

    def node(self, n):
        if any(n is start for start in self.starts):
            self.coder.forced = int(bool(self.kinds))
        bit = super().node(n)
        self.coder.forced = None
        return bit

    def tree(self, t, bits):
        if t is not self.kind:
            return super().tree(t, bits)
        kind, *self.kinds = self.kinds
        i = 1
        for k in reversed(range(bits)):
            self.coder.forced = kind >> k & 1
            i = 2 * i + self.node(t[i])
        return kind if kind < self.unknown else 8  # goes on as if an unknown kind were a switch


def made(old, pieces):
    """What comes out of a patch before it is refused; the last byte still waits for a second one in a sector of one."""
    decoder, out = patch.Decoder(old, sector=1), []
    with contextlib.suppress(patch.PatchError):
        for piece in pieces:
            for part in decoder._run(decoder._lib.ota_patch_push, piece):
                out.append(part)
        for part in decoder._run(decoder._lib.ota_patch_finish, b""):
            out.append(part)
    return b"".join(out)


@pytest.mark.parametrize("kind", [patch_oracle.Decoder, InGap])
def test_unlikely_streams_decode_alike_however_they_are_fed(kind):
    old = random.Random(1).randbytes(1 << 20)
    bare = patch.make(old, old[:4096], arch="raw")
    for seed in range(60):
        oracle = kind(old, bare)
        oracle.coder = Contrary(seed)
        expected = None
        with contextlib.suppress(patch_oracle.Refused):
            expected = oracle.decode()
        expected = bytes(oracle.new[:-1]) if expected is None else expected
        data = bare[: oracle.h.at] + oracle.coder.stream()
        assert made(old, [data]) == made(old, [data[i : i + 1] for i in range(len(data))]) == expected, seed


class Written(patch_oracle.Decoder):
    """Writes a patch of one copy from the old image's start, whose units differ by these amounts."""

    def difference(self):
        return self.units[self.new_pos // 4][self.new_pos % 4]

    def flag(self, own, i, context, a, b):
        self.coder.forced = 0
        if context == patch_oracle.UNIT:
            self.unit_at = self.coder.size
            self.coder.forced = int(any(self.units[self.new_pos // 4]))
        elif context == patch_oracle.IN:
            self.coder.forced = int(self.difference() != 0)
        return super().flag(own, i, context, a, b)

    def node(self, n):
        if any(n is start for start in self.starts):
            self.coder.forced = 1
        return super().node(n)

    def tree(self, t, bits):
        value, i = self.difference() if t is self.sub else 0, 1
        for k in reversed(range(bits)):
            self.coder.forced = value >> k & 1
            i = 2 * i + self.node(t[i])
        return i - (1 << bits)


def test_step_of_the_four_least_likely_changes_decodes_however_it_is_fed():
    """Each decision on their way but the first two is taught the other way before: hardly a step needs more input than theirs."""
    paths, units = (0x15, 0x6A, 0xB3, 0xCC), []
    for depth in reversed(range(2, 8)):
        for path in paths:
            units += 30 * [4 * (path ^ (0xFF >> depth),)]
    for rare in ((0, 0, 0, 1), (1, 0, 0, 0), (0, 0, 0, 1)):
        units += 100 * [rare, (0, 0, 0, 0)]
    units += [(0, 0, 0, 1), paths]
    old = random.Random(1).randbytes(4 * len(units))
    expected = bytes(b + d & 255 for b, d in zip(old, (d for unit in units for d in unit), strict=True))
    bare = patch.make(old, expected, arch="raw")
    oracle = Written(old, bare)
    oracle.coder, oracle.units = Contrary(1), units
    assert oracle.decode() == expected and oracle.coder.size - oracle.unit_at > 32
    data = bare[: oracle.h.at] + oracle.coder.stream()
    for cuts in ((), range(len(data)), range(0, len(data), 7), range(0, len(data), 40)):
        assert decode(old, data, cuts) == expected


class Longest(patch_oracle.Decoder):
    """Writes a patch of four literals and a copy behind them, of words that are missed and coded by bytes which all change otherwise than known."""

    flags = nodes = 0
    steps = ()

    def code_site(self, site, b):
        self.flags = self.nodes = 0
        super().code_site(site, b)
        self.steps = [*self.steps, (self.flags, self.nodes)]

    def flag(self, own, i, context, a, b):
        self.flags += 1
        self.coder.forced = int(context in (patch_oracle.SITE, patch_oracle.IN))
        bit = super().flag(own, i, context, a, b)
        self.coder.forced = None
        return bit

    def node(self, n):
        self.nodes += 1
        if any(n is start for start in self.starts):
            self.coder.forced = int(self.new_pos == 4)
        return super().node(n)

    def tree(self, t, bits):
        forced = {id(self.kind): 1, id(self.reach): 0, id(self.recents[0]): 11}.get(id(t))
        i = 1
        for k in reversed(range(bits)):
            self.coder.forced = None if forced is None else forced >> k & 1
            i = 2 * i + self.node(t[i])
        self.coder.forced = None
        return i - (1 << bits)


def constants(file):
    """The header's numbers that are sums of numbers."""
    values = {}
    for name, text in re.findall(r"#define (PATCH_\w+) (.*)", (ROOT / "ota" / "core" / file).read_text()):
        with contextlib.suppress(NameError, SyntaxError):
            values[name] = eval(re.sub(r"(\d)u\b", r"\1", text.partition("//")[0]).replace("/", "//"), {}, values)
    return values


def test_input_of_the_longest_step_is_there_when_it_begins():
    old = (0x40200010).to_bytes(4, "little") * 300
    bare = patch.make(old, b"none" + old, "xtensa")
    if patch.info(bare)["arch"] != "xtensa":  # plain bytes are smaller
        bare = bare[:3] + bytes([patch.ARCHS.index("xtensa")]) + bare[4:]
    oracle = Longest(old, bare)
    oracle.coder, oracle.h.base = Contrary(3), 0x40200000
    with contextlib.suppress(patch_oracle.Refused):
        oracle.decode()
    rare_flag = 16 + 1 / 256  # one in 65536, of a range that may be 256 of these
    node = patch_oracle.Node()
    zeros = type("Zeros", (), {"decide": lambda self, k, p: 0})()
    for _ in range(400):
        node.decide(zeros)
    rare_node = 15 - math.log2(node.p) + 1 / 256
    most = max(flags * rare_flag + nodes * rare_node for flags, nodes in oracle.steps)
    assert max(oracle.steps) == (14, 36)
    known = constants("patch_model.h")
    assert known["PATCH_STEP_BYTES"] == int((most + 8) / 8)  # the step before leaves less than eight bits
    assert known["PATCH_IN_BYTES"] >= 3 + 2 * known["PATCH_STEP_BYTES"] - 1 + known["PATCH_PAST_END"]


class InGapWithoutRule(InGap):
    """Nor minds two switches at one place."""

    switched = property(lambda self: None, lambda self, _: None)


@pytest.mark.parametrize(("kind", "kinds", "code"), [(InGap, (8,), 1005), (InGapWithoutRule, (8, 8), 1074), (InGap, (11,), 1074), (InGap, (15,), 1074)])
def test_two_switches_at_one_place_and_unknown_kinds_are_refused(kind, kinds, code):
    old = random.Random(1).randbytes(4096)
    bare = patch.make(old, old, arch="raw")
    oracle = kind(old, bare)
    oracle.coder, oracle.kinds = Contrary(1), kinds
    oracle.decode()
    data = bare[: oracle.h.at] + oracle.coder.stream()
    refused(old, data, code)  # 1005: decoded to its end, but the hash is not that of what was made up
    if code == 1074:
        with pytest.raises(patch_oracle.Refused):
            patch_oracle.apply(old, data)


class Scripted(Contrary):
    """A coder that writes these decisions, then zeros."""

    def __init__(self, bits):
        super().__init__(0)
        self.bits = list(bits)

    def decide(self, k, p):
        self.forced = self.bits.pop(0) if self.bits else 0
        return super().decide(k, p)


def bits(value, n):
    return [value >> k & 1 for k in reversed(range(n))]


def count(value):
    n = (value + 1).bit_length() - 1
    return bits(n, 5) + bits(value + 1 - (1 << n), n)


def repeat(size, distance=None):
    """Without a distance from as far back as the last one."""
    return [1, *bits(10 if distance is None else 9, 4), *([] if distance is None else count(distance - 1)), *bits(min(size, 9) - 2, 3),
            *(count(size - 9) if size >= 9 else [])]


LITERALS = [bit for byte in b"abc" for bit in (0, *bits(byte, 8))]
WRAPPED = 9 + (1 << 32) - 2  # the longest count


@pytest.mark.parametrize(
    ("decisions", "expected"),
    [
        (repeat(2, 3), b"abcab"),
        (repeat(9, 1), b"abc" + b"c" * 9),
        (repeat(37, 2), b"abc" + b"bc" * 18 + b"b"),
        (repeat(4, 3) + repeat(3), b"abcabcabca"),
        (repeat(4, 3) + repeat(8, 5) + repeat(25), b"abcabca" + b"cabca" * 6 + b"cab"),
        (repeat(WRAPPED, 3), b"abcabcabca"),
        (repeat(2, 4), None),
        (repeat(2, (1 << 32) - 1), None),
        (repeat(2), None),
        (repeat(38, 1), None),
        (repeat(1 << 32, 1), None),
        (repeat(WRAPPED - 7, 1), None),
    ],
)
def test_repeats_are_of_what_was_put_out_and_end_with_the_image(decisions, expected):
    bare = patch.make(b"", bytes(range(40)), "raw")
    oracle = patch_oracle.Decoder(b"", bare)
    oracle.coder = Scripted(LITERALS + decisions)
    with contextlib.nullcontext() if expected else pytest.raises(patch_oracle.Refused):
        assert oracle.decode() == expected.ljust(40, b"\0")
    data = bare[: oracle.h.at] + oracle.coder.stream()
    for cuts in ((), range(len(data))):
        with contextlib.nullcontext() if expected else pytest.raises(patch.PatchError, match="damaged"):
            assert decode(b"", data, cuts) == expected.ljust(40, b"\0")


@pytest.mark.parametrize("arch", ARCHS)
def test_new_data_that_repeats_itself_costs_little(arch):
    """A table, then once more with every eighth byte changed; then a text that comes twice."""
    rng = random.Random(7)
    old, new = linked_pair(11, arch, 60)
    table, text = rng.randbytes(800), words(rng, 300)
    again = bytes(b ^ (i % 8 == 3) for i, b in enumerate(table))
    cost = len(round_trip(old, new + table + again + text + text, arch)) - len(round_trip(old, new + table + text, arch))
    assert cost < 320, cost


def test_copy_behind_a_repeat_reads_its_old_bytes_again():
    """The repeat's bytes were read into their place."""
    rng = random.Random(3)
    old, news = rng.randbytes(4096), rng.randbytes(24)
    new = news + old[:24] + news + old[8:48]
    oracle = patch_oracle.Decoder(old, round_trip(old, new, "raw"))
    assert oracle.decode() == new and (oracle.distance, oracle.old_pos) == (48, 48)


def test_changes_that_come_again_cost_little():
    """A register renamed: three values of a byte, each changed alike everywhere."""
    rng = random.Random(4)
    old = bytes(rng.choice((0x31, 0x57, 0x9A)) if i % 16 == 5 else rng.randrange(0xA0, 0x100) for i in range(8000))
    renamed = old.replace(b"\x31", b"\x44").replace(b"\x57", b"\x7e").replace(b"\x9a", b"\x10")
    assert len(round_trip(old, renamed, "raw")) < 140


@pytest.mark.parametrize("arch", ARCHS)
def test_images_of_new_bytes_alone_round_trip(arch):
    rng = random.Random(arch)
    old, new = rng.randbytes(3000), words(rng, 1500) + rng.randbytes(5000)
    oracle = patch_oracle.Decoder(old, round_trip(old, new, arch))
    oracle.decode()
    assert oracle.switched is not None  # new bytes were verbatim somewhere


def test_program_linked_for_another_address_costs_little():
    for functions, most in ((300, 230), (800, 300)):
        old, new = moved_pair(1, "xtensa", 0x10000, functions)
        data = round_trip(old, new, "xtensa")
        assert len(data) < most and len(data) <= len(patch.make(old, new, "raw"))


@pytest.mark.parametrize("arch, base", [("xtensa", 0x40202000), ("thumb", 0), ("thumb", 0x08004000), ("thumb", 0x49FF7FC0), ("arm", 0x8000), ("arm", 0x80008000)])
def test_load_address_is_found_where_it_is(arch, base):
    start = {"xtensa": b"\x12\xc1\xf0\x02", "thumb": b"\x10\xb5\x04\x46", "arm": b"\x10\x40\x2d\xe9"}[arch]
    rng = random.Random(1)
    functions = [start + rng.randbytes(4 * rng.randrange(1, 12)) for _ in range(100)]

    def image(functions):
        starts = [base + 4 * len(functions) + sum(map(len, functions[:i])) for i in range(len(functions))]
        return b"".join((at | (arch == "thumb")).to_bytes(4, "little") for at in starts) + b"".join(functions)

    info = patch.info(patch.make(image(functions), image(functions[:50] + [start + b"new."] + functions[50:]), arch))
    assert (info["arch"], info["base_address"]) == (arch, base)


def test_patches_for_computers_have_no_time_budget():
    old, new = linked_pair(9, "x86-64", 3000)
    data = patch.make(old, new, "x86-64")
    assert patch.info(data)["arch"] == "x86-64"
    elf = b"\x7fELF\2".ljust(18, b"\1") + b"\x3e\0"
    assert patch.info(patch.make(elf + old, elf + new))["arch"] == "x86-64"
    oracle = patch_oracle.Decoder(old, data)
    assert oracle.decode() == new and oracle.switched is None


def test_tables_smaller_than_fit_are_tried():
    """They forget sooner what was wrong. Full ones are in less than 16 KiB here."""
    info = patch.info(patch.make(*linked_pair(1, "arm", 300), "arm", 16384))
    assert (info["lean"], info["state_bytes"]) == (3, 3584)


def test_windows_that_do_not_pay_are_left_out():
    old, new = linked_pair(5, "xtensa", 300)
    info = patch.info(patch.make(old, new, "xtensa"))
    assert (info["arch"], info["windows"]) == ("xtensa", [])


# ---- vectors


def vectors():
    return sorted(p.stem for p in VECTORS.glob("*.patch"))


@pytest.mark.parametrize("name", vectors())
def test_vectors_decode(name):
    old, new, data = ((VECTORS / f"{name}.{kind}").read_bytes() for kind in ("old", "new", "patch"))
    assert patch.apply(old, data) == new
    assert patch_oracle.apply(old, data) == new
