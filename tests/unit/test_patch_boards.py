"""The patch decoder on this computer, on an LX106 and on a Cortex-M4 makes the same of every patch: thousands of small ones, damaged
ones, and the corpus's; fed whole, byte by byte and at random splits, and equal to the oracle."""

import functools
import random
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tools"), str(ROOT / "tests")]

import patch_board
import patch_oracle
from mpota import patch
from patch_pairs import ciphered, corpus_pairs, edited, linked_pair, padded, patchwork, words

ARCHS, STATES = patch.ARCHS, (16384, 8192, 6144, 4096)
SMALL, DAMAGED = 1000, 400
SPLITS = patch_board.WHOLE, patch_board.BYTES, 12345


@pytest.fixture(scope="module", params=patch_board.MACHINES)
def built(request, tmp_path_factory):
    """(machine, the decoder's ELF for it)"""
    if patch_board.missing(request.param):
        pytest.skip(f"{patch_board.missing(request.param)} is not installed")
    return request.param, patch_board.build(request.param, tmp_path_factory.mktemp("board"))


@pytest.fixture(scope="module")
def board(built):
    """Decodes cases (old, patch, fed) on a machine: [(result code, what was put out)]."""
    return lambda cases: [result[:2] for result in patch_board.run_all(*built, cases)]


def small_pair(seed):
    """(old, new): unrelated, edited, relinked, or relinked and padded images, an architecture's turn each."""
    rng = random.Random(seed)
    if seed % 4 == 0:
        return rng.randbytes(rng.randrange(200)), rng.randbytes(rng.randrange(200))
    if seed % 4 == 1:
        old = rng.randbytes(rng.randrange(800))
        return old, edited(old, [(rng.randrange(1 << 16), rng.randrange(40), rng.randbytes(rng.randrange(40))) for _ in range(rng.randrange(6))])
    old, new = linked_pair(seed, ARCHS[seed // 4 % len(ARCHS)], rng.randrange(2, 14))
    return old, padded(rng, new) if seed % 4 == 2 else new


@functools.cache
def small_patches():
    """[(old, new, patch)]"""
    pairs = [small_pair(seed) for seed in range(SMALL)]
    return [(old, new, patch.make(old, new, ARCHS[i // 4 % len(ARCHS)], STATES[i // 20 % len(STATES)])) for i, (old, new) in enumerate(pairs)]


def test_small_patches_are_decoded_as_by_the_oracle():
    for i, (old, new, data) in enumerate(small_patches()):
        assert patch_oracle.apply(old, data) == new, i


def test_boards_decode_small_patches(board):
    cases = [(old, data, fed) for old, _, data in small_patches() for fed in SPLITS]
    wanted = [(0, new) for _, new, _ in small_patches() for _ in SPLITS]
    for i, (got, want) in enumerate(zip(board(cases), wanted, strict=True)):
        assert got == want, (i // len(SPLITS), cases[i][2])


def decoded_here(old, data):
    """(result code, what was put out) of a patch that may be damaged; of the base only the size is checked, as on the boards."""
    decoder, out = patch.Decoder(old), []

    def check_base():
        if decoder.info().old_size != len(old):
            raise patch.PatchError(1073)

    decoder._check_base = check_base
    try:
        for call, piece in ((decoder._lib.ota_patch_push, data), (decoder._lib.ota_patch_finish, b"")):
            for part in decoder._run(call, piece):
                out.append(part)
    except patch.PatchError as error:
        return -error.code, b"".join(out)
    return 0, b"".join(out)


def test_boards_refuse_what_this_computer_refuses(board):
    rng = random.Random(5)
    cases = []
    for i in range(DAMAGED):
        old, _, data = small_patches()[i * 2 + 1]
        bad = bytearray(data)
        bad[rng.randrange(len(bad))] ^= 1 << rng.randrange(8)
        cases.append((old, bytes(bad)[: rng.choice((len(bad), rng.randrange(len(bad))))], patch_board.WHOLE))
    here = [decoded_here(old, data) for old, data, _ in cases]
    there = board(cases)
    codes = {code for code, _ in here}
    assert {-1070, -1071, -1073, -1074, -1075, 0} <= codes, codes
    for i, ((code, put_out), (board_code, board_put_out)) in enumerate(zip(here, there, strict=True)):
        assert board_code == code, i
        assert board_put_out[: len(put_out)] == put_out, i


# ---- time


def scattered(rng, old):
    new = bytearray(old)
    for i in range(0, len(new), 6):
        new[i] = rng.randrange(256)
    return bytes(new)


def test_no_sector_takes_too_long(built):
    rng = random.Random(8)
    few = bytes(rng.choices(range(0, 256, 2), k=12288))
    for arch in ({"lx106": ["xtensa"], "m4": ["thumb", "arm"]}[built[0]] + ["raw"]):
        old = linked_pair(9, "xtensa" if arch == "raw" else arch, 1500)[0]
        made = [words(rng, 6000), rng.randbytes(20000), scattered(rng, old), patchwork(rng, old), old]
        for old, new in (*((old, new) for new in made), (b"", few), ciphered(rng), (made[0], made[0].upper())):
            assert patch_board.longest(*built, old, new, patch.make(old, new, arch)) <= patch_board.MOST


def test_no_sector_of_a_far_release_takes_too_long(built):
    """Years lie between the two: most of it is new."""
    images = dict(pair for a_to_b, old, new in corpus_pairs() for pair in zip(a_to_b.split(" to "), (old, new), strict=True))
    if built[0] == "m4" or not images:
        pytest.skip("the corpus has years between releases for the ESP8266 alone, if there is one")
    old, new = images["esp8266-v1.20"], images["esp8266-v1.9.4"]
    assert patch_board.longest(*built, old, new, patch.make(old, new)) <= patch_board.MOST


# ---- the corpus


@functools.cache
def corpus_patches():
    """{name: (old, new, patch)}"""
    return {name: (old, new, patch.make(old, new)) for name, old, new in corpus_pairs()}


def splits(data):
    rng = random.Random(len(data))
    return [range(len(data)), sorted(rng.sample(range(len(data)), len(data) // 16)), []]


@pytest.mark.parametrize("name", [name for name, _, _ in corpus_pairs()])
def test_corpus_is_decoded_as_by_the_oracle(name):
    old, new, data = corpus_patches()[name]
    for cuts in splits(data):
        decoder, at, got = patch.Decoder(old), 0, []
        for end in [*cuts, len(data)]:
            got.append(decoder.push(data[at:end]))
            at = end
        assert b"".join([*got, decoder.finish()]) == new
    assert patch_oracle.apply(old, data) == new


@pytest.mark.parametrize("name", [name for name, _, _ in corpus_pairs()])
def test_boards_decode_the_corpus(board, name):
    old, new, data = corpus_patches()[name]
    for fed in SPLITS:
        assert board([(old, data, fed)]) == [(0, new)], fed
