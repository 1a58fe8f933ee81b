"""A second patch decoder, written from SPEC.md section 3 alone: slow, plain, and the judge of the one in C."""

WORD, CALL, LOAD, HALF, CONSTANT = range(5)
RAW, XTENSA, THUMB, ARM, X86_64 = range(5)
M32 = 0xFFFFFFFF
RATE = [131072 // (2 * n + 3) for n in range(15)]
LOGISTIC = [32768, 24743, 17625, 11955, 7812, 4971, 3108, 1921, 1179, 720, 439, 267, 162, 98, 60, 36, 22, 13, 8, 5, 3, 2, 1, 1, 1]
UNIT, SITE, HALVES, BYTES, KEEP, END, IN, AGAIN = range(0, 16, 2)  # contexts


class Refused(Exception):
    pass


def signed(v, bits=32):
    v &= (1 << bits) - 1
    return v - (1 << bits) if v >> (bits - 1) else v


class Header:
    """Section 3.1."""

    def __init__(self, data):
        self.data, self.at = data, 0
        if self.take(2) != b"mP":
            raise Refused("magic")
        if self.byte() != 4:
            raise Refused("version")
        v = self.byte()
        self.arch, windows = v & 15, v >> 4
        v = self.byte()
        self.lean, self.region_shift = v & 15, v >> 4
        self.state_bytes = 256 * self.byte()
        self.old_size = self.number()
        v = self.number()
        self.new_size = self.old_size + (-(v >> 1) - 1 if v & 1 else v >> 1)
        self.base = self.number()
        if self.arch > X86_64 or windows > 3 or self.lean > 3 or not 5 <= self.region_shift <= 13:
            raise Refused("header")
        if self.old_size > 0x1000000 or not 0 <= self.new_size <= 0x1000000:
            raise Refused("header")
        self.windows = [self.window() for _ in range(windows)]
        self.old_sha256, self.new_sha256 = self.take(32), self.take(32)

    def take(self, n):
        b = self.data[self.at : self.at + n]
        if len(b) != n:
            raise Refused("cut")
        self.at += n
        return bytes(b)

    def byte(self):
        return self.take(1)[0]

    def number(self):
        v = 0
        for i in range(5):
            b = self.byte()
            v |= (b & 127) << 7 * i
            if not b & 128:
                if v > M32:
                    break
                return v
        raise Refused("number")

    def window(self):
        start, size = self.number(), self.number()
        if start >> 16 or not 1 <= size <= 0x1000:
            raise Refused("window")
        return start << 16, size << 12


class Coder:
    """Section 3.2."""

    def __init__(self, body):
        self.body, self.at = body, 0
        self.range = M32
        self.code = 0
        for _ in range(4):
            self.code = self.code << 8 | self.next()

    def next(self):
        self.at += 1
        if self.at - len(self.body) > 4:
            raise Refused("cut")
        return self.body[self.at - 1] if self.at <= len(self.body) else 0

    def decide(self, k, p):
        bound = (self.range >> k) * p
        bit = int(self.code < bound)
        if bit:
            self.range = bound
        else:
            self.code -= bound
            self.range -= bound
        while self.range < 1 << 24:
            self.range = self.range << 8 & M32
            self.code = (self.code << 8 | self.next()) & M32
        return bit


class Node:
    def __init__(self):
        self.p, self.n = 1 << 14, 0

    def decide(self, coder):
        bit = coder.decide(15, self.p)
        if self.n < 15:
            down, up = ((q * RATE[self.n] >> 16) << 4 for q in (self.p >> 4, 0x7FF))
        else:
            down, up = self.p >> 4, 0x7FF
        self.p += bit * up - down
        self.n = min(self.n + 1, 15)
        return bit


def nodes(n):
    return [Node() for _ in range(n)]


class Number:
    def __init__(self):
        self.length, self.top = nodes(32), nodes(16)


class Site:
    def __init__(self, kind, size, unit, target, place):
        self.kind, self.size, self.unit, self.target, self.place = kind, size, unit, target, place


def fits(v, bits):
    return -(1 << bits - 1) <= v < 1 << bits - 1


class Xtensa:
    @staticmethod
    def advance(d, c):
        return d.phase - 1 if d.phase else 1 if c & 8 else 2

    @staticmethod
    def unit(d, b):
        return d.phase or (3 if not b[0] & 8 else 4 if b[2] & 8 else 2)

    @staticmethod
    def find(d, b, source):
        if d.phase:
            return None
        value = int.from_bytes(b[:3], "little")
        if value & 0x3F == 5:
            return Site(CALL, 3, 2, ((source & ~3) + 4 + 4 * signed(value >> 6, 18)) & M32, Xtensa.place_call)
        if value & 15 == 1:
            return Site(LOAD, 3, 2, (((source + 3) & ~3) - 0x40000 + 4 * (value >> 8)) & M32, Xtensa.place_load)
        if value & 0xF00F == 0xA002:
            return Site(CONSTANT, 3, 0, (b[1] & 15) << 8 | b[2], Xtensa.place_constant)
        return None

    @staticmethod
    def place_call(b, to, target):
        offset = signed(target - (to & ~3) - 4)
        if target & 3 or not fits(offset >> 2, 18):
            return None
        return (5 | (offset >> 2 & 0x3FFFF) << 6).to_bytes(3, "little") + b[3:]

    @staticmethod
    def place_load(b, to, target):
        n = (target - ((to + 3) & ~3) + 0x40000) & M32
        if target & 3 or n >= 0x40000:
            return None
        return b[:1] + (n >> 2).to_bytes(2, "little") + b[3:]

    @staticmethod
    def place_constant(b, _to, v):
        return bytes([b[0], b[1] & 0xF0 | v >> 8 & 15, v & 255, b[3]])


class Thumb:
    pair_low = 0x9000

    @staticmethod
    def advance(d, c):
        return d.address() & 1

    @staticmethod
    def unit(d, b):
        if (d.old_pos ^ d.new_pos) & 1:
            return 4
        if d.address() & 1:
            return 1
        return 2 if b[1] < 0xE8 <= b[3] else 4

    @staticmethod
    def find(d, b, source, low=0x9000):
        hi, lo = int.from_bytes(b[:2], "little"), int.from_bytes(b[2:], "little")
        if source & 1 or d.address() & 1:
            return None
        if hi & 0xF800 != 0xF000 or lo & low != low:
            if low == 0x9000 and hi & 0xFBFF == 0xF240 and not lo & 0x8000:
                value = (hi >> 10 & 1) << 11 | (lo >> 12 & 7) << 8 | lo & 255
                return Site(CONSTANT, 4, 0, value, Thumb.place_constant)
            return None
        s = hi >> 10 & 1
        offset = s << 24 | (1 ^ (lo >> 13 & 1) ^ s) << 23 | (1 ^ (lo >> 11 & 1) ^ s) << 22 | (hi & 0x3FF) << 12 | (lo & 0x7FF) << 1
        return Site(CALL, 4, 1, (source + 4 + signed(offset, 25)) & M32, Thumb.place)

    @staticmethod
    def place(b, to, target):
        offset = signed(target - to - 4)
        if offset & 1 or not fits(offset, 25):
            return None
        s = int(offset < 0)
        lo = int.from_bytes(b[2:], "little") & 0xD000
        lo |= (1 ^ (offset >> 23 & 1) ^ s) << 13 | (1 ^ (offset >> 22 & 1) ^ s) << 11 | (offset >> 1 & 0x7FF)
        return (0xF000 | s << 10 | (offset >> 12 & 0x3FF)).to_bytes(2, "little") + lo.to_bytes(2, "little")

    @staticmethod
    def place_constant(b, _to, v):
        return bytes([b[0], b[1] & 0xFB | (v >> 11 & 1) << 2, v & 255, b[3] & 0x8F | (v >> 8 & 7) << 4])


class Arm:
    @staticmethod
    def advance(d, c):
        return min(d.address() & 3, 2)

    unit = Thumb.unit

    @staticmethod
    def find(d, b, source):
        if not source & 3 and not d.address() & 3 and b[3] == 0xEB:
            return Site(CALL, 4, 2, (source + 8 + 4 * signed(int.from_bytes(b[:3], "little"), 24)) & M32, Arm.place)
        return Thumb.find(d, b, source, 0xF800)

    @staticmethod
    def place(b, to, target):
        offset = signed(target - to - 8)
        if offset & 3 or not fits(offset >> 2, 24):
            return None
        return (offset >> 2 & 0xFFFFFF).to_bytes(3, "little") + b[3:]


class X86:
    @staticmethod
    def advance(d, c):
        if c & 0xFE == 0xE8:
            return 2
        return int(c & 0xF8 == 0x48 or c == 0x0F or c & 0xFC == 0x88 or c == 0x8D)

    @staticmethod
    def unit(d, b):
        return 1

    @staticmethod
    def opens(before, last):
        if last & 0xFE == 0xE8 or (before == 0x0F and last & 0xF0 == 0x80):
            return True
        return last & 0xC7 == 5 and (
            before & 0xFC in (0x88, 0x80) or before & 0xFE == 0xC6 or before & 0xF0 == 0x10
            or before & 0xC4 == 0 or before in (0x8D, 0x63, 0xFF, 0x6F, 0x7F)
        )

    @staticmethod
    def find(d, b, source):
        value = int.from_bytes(b, "little")
        if not X86.opens(d.before, d.last):
            return Site(CONSTANT, 4, 0, value, X86.place_constant) if d.last & 0xF8 == 0xB8 else None
        return Site(CALL, 4, 0, (source + 4 + int.from_bytes(b, "little")) & M32, X86.place)

    @staticmethod
    def place(b, to, target):
        return ((target - to - 4) & M32).to_bytes(4, "little")

    @staticmethod
    def place_constant(b, _to, v):
        return (v & 0xFFF).to_bytes(2, "little") + b[2:]


class Raw:
    @staticmethod
    def advance(d, c):
        return d.new_pos & 1

    @staticmethod
    def unit(d, b):
        return 4

    @staticmethod
    def find(d, b, source):
        return None


ARCHS = (Raw, Xtensa, Thumb, Arm, X86)


class Decoder:
    """Sections 3.3 to 3.7."""

    def __init__(self, old, patch):
        self.h = h = Header(patch)
        self.old, self.new = old, bytearray()
        self.arch = ARCHS[h.arch]
        self.coder = Coder(patch[h.at :])
        self.new_pos = self.old_pos = self.gap = self.copying = self.phase = self.run = self.subs = 0
        self.literals = self.distance = self.verbatim = self.ones = 0
        self.switched = None
        self.last = self.before = self.old_last = self.plain = 0
        self.ends, self.recent, self.far, self.far_next = [0] * 3, [0] * 8, [0] * 32, 0
        self.first_values()

    def first_values(self):
        h = self.h
        self.f_unit = [-1685, -4700, -7553, -9921, -12772, -17308]
        self.f_site = [(-2250, -3985, -8485, -2250, -9921)[i // 12] for i in range(60)]
        self.f_half = [-8485 if i == 4 else -2250 for i in range(12)]
        self.f_bytes, self.f_keep, self.f_end, self.f_in, self.f_again = [-2250] * 3, [-2250] * 15, [-2250] * 18, [0] * 10, [0]
        self.weights = [0] * (2048 >> h.lean)
        self.starts, self.literal, self.sub = nodes(24), nodes(256), nodes(256)
        self.change = [0] * 128
        self.kind, self.reach, self.copy_recent, self.length = nodes(16), nodes(16), nodes(8), nodes(8)
        self.recents = [nodes(16) for _ in range(3)]
        self.offset, self.back, self.shift, self.half_shift = (Number() for _ in range(4))
        size = 1 << h.region_shift
        self.image_regions = -(-(h.old_size + 4096) // size)
        self.table = [0] * (self.image_regions + sum(-(-n // size) for _, n in h.windows))
        self.lean = h.lean
        self.lines = [0] * (128 >> self.lean)
        self.exact = [(0, 0)] * (128 >> self.lean)  # lower half of a target, entry
        self.half = [[0, 0] for _ in range(256 >> self.lean)]  # shift, confidence

    # 3.3

    def place(self, context, value):
        return ((value << 4 | context) * 0x9E3779B1 & M32) >> 21 + self.lean

    def flag(self, own, i, context, a, b):
        weights = [(own, i), (self.weights, self.place(context, a)), (self.weights, self.place(context + 1, b))]
        logit = sum(where[n] for where, n in weights)
        x = min(abs(logit), 12 * 2048 - 1)
        low, high = LOGISTIC[x // 1024 + 1], LOGISTIC[x // 1024]
        p = high - (high - low) * (x % 1024) // 1024
        if logit >= 0:
            p = 65536 - p
        random, haste = self.coder.range >> 9 & 127, 2 if self.ones < 128 else 1 if self.ones < 2048 else 0
        bit = self.coder.decide(16, p)
        move = ((65536 - p << haste) + random) >> 7 if bit else -(((p << haste) + random) >> 7)
        self.ones += bit
        for where, n in weights:
            where[n] = signed(where[n] + move, 16)
        return bit

    def node(self, t):
        return t.decide(self.coder)

    def tree(self, t, bits):
        i = 1
        for _ in range(bits):
            i = 2 * i + self.node(t[i])
        return i - (1 << bits)

    def count(self, m):
        n = self.tree(m.length, 5)
        v = 1
        for k in range(n):
            v = 2 * v + (self.node(m.top[n]) if k == 0 and n < 16 else self.coder.decide(1, 1))
        return v - 1

    def number(self, m):
        z = self.count(m)
        return signed(~(z >> 1) if z & 1 else z >> 1)

    # 3.4

    def address(self):
        return self.h.base + self.new_pos & M32

    def out(self, b):
        self.before, self.last = self.last, b
        self.new.append(b)
        self.new_pos += 1
        self.run += 1
        self.phase = self.arch.advance(self, b)

    def decode(self):
        while self.new_pos < self.h.new_size:
            if self.copying:
                self.copy_step()
            elif self.node(self.starts[3 * min(self.literals, 7) + self.phase]):
                self.start()
            else:
                for _ in range(min(4, self.h.new_size - self.new_pos) if self.literals >= 32 else 1):
                    self.out(self.new_byte(self.literal, 0))
                    self.gap += 1
                    self.literals += 1
        if self.coder.at < len(self.coder.body):
            raise Refused("long")
        return bytes(self.new)

    def new_byte(self, tree, base):
        return self.coder.next() if self.verbatim else base + self.tree(tree, 8) & 255

    def start(self):
        here = self.old_pos
        same = here + self.gap
        kind = self.tree(self.kind, 4)
        if kind == 8:
            if self.switched == self.new_pos:
                raise Refused("switch")
            self.verbatim, self.switched = not self.verbatim, self.new_pos
            return
        if kind in (9, 10):
            return self.repeat(kind == 9)
        if kind == 0:
            self.old_pos = same
        elif kind == 2:
            r = self.region(self.h.base + same)
            self.old_pos = same if r is None else self.new_pos - self.displacement(r)[0]
        elif kind == 3:
            self.old_pos = self.new_pos - self.recent[self.tree(self.copy_recent, 3)]
        elif kind == 4:
            self.old_pos = same + self.number(self.offset)
        elif 4 < kind < 8:
            self.old_pos = self.ends[kind - 5] + self.number(self.back)
        self.old_pos &= M32
        if kind > 8 or self.old_pos > self.h.old_size:
            raise Refused("copy")
        self.ends = [here, *self.ends[:2]]
        self.copying, self.run, self.subs, self.plain = 1, 0, 0, 0
        self.remember(self.new_pos - self.old_pos)
        reach = self.tree(self.reach, 4)
        if reach:
            self.fill(128 << reach)

    def repeat(self, elsewhere):
        if elsewhere:
            self.distance = 1 + self.count(self.back)
        n = 2 + self.tree(self.length, 3)
        if n == 9:
            n = n + self.count(self.half_shift) & M32
        if not 0 < self.distance <= self.new_pos or not 0 < n <= self.h.new_size - self.new_pos:
            raise Refused("repeat")
        for _ in range(n):
            self.out(self.new[-self.distance])
        self.gap += n
        self.literals = 0

    def end_copy(self):
        self.copying = self.gap = self.literals = 0

    def copy_step(self):
        if self.run > 8:
            self.fill(0)
        b = self.old[self.old_pos : self.old_pos + 8].ljust(8, b"\xff")
        site = self.find(b)
        if site:
            return self.code_half(site, b[:4]) if site.kind >= HALF else self.code_site(site, b[:4])
        self.unit_step(b)

    def run_class(self):
        return sum(self.run >= n for n in (1, 4, 16, 48, 160))

    def unit_step(self, b):
        n = min(self.arch.unit(self, b), self.h.new_size - self.new_pos)
        n = next((i for i in range(1, n) if self.inside_site(b, i)), n)
        last, before = b[n - 1], b[n - 2] if n > 1 else self.last
        known = (self.change[last >> 1] > 0) + 2 * (self.change[before >> 1] > 0)
        if self.flag(self.f_unit, self.run_class(), UNIT, before << 10 | last << 2 | known, known << 3 | n):
            return self.by_bytes(b[:n], True)
        self.copied(b[0], b[0])
        if n > 1:
            for x in b[1:n]:
                self.out(x)
            self.old_pos += n - 1
            self.plain = 0

    def by_bytes(self, b, differ):
        for left, o in zip(range(len(b), 0, -1), b):
            change = self.change[o >> 1]
            if left > 1 or not differ:
                c = left - 2 if differ else 3 if self.run == 0 else 4
                if not self.flag(self.f_in, 2 * c + (change > 0), IN, o, self.last | self.phase << 8):
                    self.change[o >> 1] = 0
                    self.copied(o, o)
                    continue
            if (self.run or self.subs) and self.flag(self.f_end, 6 * min(self.subs, 2) + self.run_class(), END, o, self.last | self.phase << 8):
                return self.end_copy()
            differ = False
            self.subs = min(self.subs + 1, 255)
            if not self.verbatim and change and self.flag(self.f_again, 0, AGAIN, change, self.last | self.phase << 8):
                new = o + change & 255
            else:
                new = self.new_byte(self.sub, o)
            self.change[o >> 1] = new - o & 255
            self.copied(o, new)
            self.run = 0

    def copied(self, o, new):
        starts = self.half_starts(self.last, 0)
        self.out(new)
        if self.plain:
            self.learn(self.old_last + 256 * o, self.before + 256 * self.last)
        self.plain, self.old_last = starts, o
        self.old_pos += 1

    # 3.5

    def region(self, a):
        h, first = self.h, self.image_regions
        a &= M32
        if (a - h.base) & M32 < h.old_size + 4096:
            return ((a - h.base) & M32) >> h.region_shift
        for start, size in h.windows:
            if (a - start) & M32 < size:
                return first + (((a - start) & M32) >> h.region_shift)
            first += -(-size // (1 << h.region_shift))
        return None

    def pack(self, d):
        d = signed(d)
        if -0x1F80 < d < 0x1F80:
            return d + 0x1F80 << 2
        if d not in self.far:
            self.far[self.far_next % 32] = d
            self.far_next += 1
        return 0x3F00 + self.far.index(d) << 2

    def unpack(self, entry):
        code = entry >> 2
        return self.far[code % 32] if code >= 0x3F00 else code - 0x1F80

    def displacement(self, r):
        if self.table[r]:
            return self.unpack(self.table[r]), 1 + (self.table[r] & 1)
        for k in range(1, 17):
            for q in (r - k, r + k):
                if 0 <= q < len(self.table) and self.table[q]:
                    return self.unpack(self.table[q]), 0
        return (self.recent[0] if r < self.image_regions else 0), 3

    def remember(self, d):
        d = signed(d)
        if d in self.recent:
            self.recent.remove(d)
        self.recent = [d] + self.recent[:7]

    def fill(self, n):
        r = self.old_pos >> self.h.region_shift
        if self.old_pos >= self.h.old_size or (not n and self.table[r]):
            return
        entry = self.pack(self.new_pos - self.old_pos)
        for q in range(r, min((self.old_pos + n >> self.h.region_shift) + 1, self.image_regions)):
            if not self.table[q] & 1:
                self.table[q] = entry

    def half_starts(self, last, i):
        return last >> 4 == 1 or (not self.address() + i & 1 and not (self.old_pos ^ self.new_pos) & 1)

    def room(self, i):
        return self.new_pos + i + 4 <= self.h.new_size

    def is_word(self, b, i):
        aligned = not (self.h.base + self.old_pos + i) & 3 and not (self.old_pos ^ self.new_pos) & 3
        return aligned and self.h.arch != RAW and self.region(int.from_bytes(b[i : i + 4], "little")) is not None

    def is_half(self, b, i, last):
        v = int.from_bytes(b[i : i + 2], "little")
        return self.half_starts(last, i) and v < 4096 and self.half[v >> 4 + self.lean][1] > 0

    def inside_site(self, b, i):
        return self.room(i) and (self.is_word(b, i) or self.is_half(b, i, b[i - 1]))

    def find(self, b):
        if not self.room(0):
            return None
        if self.is_word(b, 0):
            return Site(WORD, 4, 0, int.from_bytes(b[:4], "little"), lambda _b, _to, target: (target & M32).to_bytes(4, "little"))
        site = self.arch.find(self, b[:4], self.h.base + self.old_pos & M32)
        if site and (site.target < 4096 if site.kind == CONSTANT else self.region(site.target) is not None):
            return site
        if self.is_half(b, 0, self.last):
            return Site(HALF, 2, 0, int.from_bytes(b[:2], "little"), lambda b, _to, v: (v & 0xFFFF).to_bytes(2, "little") + b[2:])
        return None

    def done(self, site, b):
        for c in b[: site.size]:
            self.out(c)
        self.old_pos += site.size
        self.plain = 0
        if site.kind == WORD:
            self.phase = 0

    def exact_place(self, target):
        return (target * 0x9E3779B1 & M32) >> 25 + self.lean

    def learn_exact(self, site, d):
        if site.kind != LOAD:
            self.exact[self.exact_place(site.target)] = (site.target & 0xFFFF, self.pack(d) | 1)

    def guess(self, site):
        """Table, place in it, displacement, trust."""
        if site.kind == LOAD:
            i = ((site.target - self.h.base & M32) >> 6) % len(self.lines)
            if self.lines[i]:
                return self.lines, i, self.unpack(self.lines[i]), 2
            return self.lines, i, signed(self.new_pos - self.old_pos), 0
        i = self.region(site.target)
        tag, entry = self.exact[self.exact_place(site.target)]
        if entry and tag == site.target & 0xFFFF:
            return self.table, i, self.unpack(entry), 4
        return self.table, i, *self.displacement(i)

    def candidate(self, site, d, k):
        if k >= 2:
            return self.recent[k - 2]
        r = self.region(site.target)
        for q in range(r, r + 16) if k else range(r, r - 16, -1):
            if not 0 <= q < len(self.table):
                break
            if self.table[q] and self.unpack(self.table[q]) != d:
                return self.unpack(self.table[q])
        return d

    def code_site(self, site, b):
        to, word = self.address(), site.kind == WORD
        where, i, d, trust = self.guess(site)
        placed = site.place(b, to, site.target + d & M32)
        moved = b if placed is None else placed
        same = moved == b
        small = word and site.target < 0x10000
        kept = word and not same and trust != 4 and bool(where[i] & 2 or (small and not site.target & 1))
        group = 2 * small + kept if word else 3 + site.kind
        where_to = site.target >> 10
        if not self.flag(self.f_site, 2 * (6 * trust + group) + same, SITE, (d & M32) << 3 | group, where_to):
            if placed is not None and not kept and trust not in (2, 4):
                where[i] = self.pack(d) | 1
            return self.done(site, b if kept else moved)
        if not same and self.flag(self.f_keep, 5 * site.kind + trust, KEEP, d & M32, where_to):
            self.run = 0
            self.learn_second(site, where, i, d, kept)
            return self.done(site, moved if kept else b)
        k = self.tree(self.recents[site.kind], 4)
        if k == 12 and (self.run or self.subs):
            return self.end_copy()
        self.run = 0
        if k == 11:
            return self.by_bytes(b[: site.size], True)
        if k < 10:
            d = self.candidate(site, d, k)
        elif k == 10:
            d = signed(d + (self.number(self.shift) << site.unit))
        else:
            raise Refused("alternative")
        placed = site.place(b, to, site.target + d & M32)
        if placed is None:
            raise Refused("reach")
        self.remember(d)
        where[i] = self.pack(d) | 1
        self.learn_exact(site, d)
        return self.done(site, placed)

    def learn_second(self, site, where, i, d, moved):
        if moved:
            where[i] = self.pack(d) | 1
        elif site.kind == WORD:
            where[i] = self.pack(d) | 2 | where[i] & 1
            d = 0
        else:
            d = signed(self.new_pos - self.old_pos)
            where[i] = self.pack(d) | 1
        self.learn_exact(site, d)

    def code_half(self, site, b):
        e = self.half[site.target >> 4 + self.lean]
        trust = e[1]
        kind = 1 if site.kind == CONSTANT else 2 if self.last >> 4 == 1 else 0
        guess = site.target + (e[0] if trust else 0)
        last = self.last
        if not self.flag(self.f_half, 4 * kind + trust, HALVES, site.target, last):
            if trust in (1, 2):
                e[1] += 1
            return self.done(site, site.place(b, 0, guess & M32))
        if trust:
            e[1] -= 1
        if self.flag(self.f_bytes, kind, BYTES, site.target, last):
            return self.by_bytes(b[: site.size], False)
        self.run = 0
        new = site.target + self.number(self.half_shift)
        self.learn(site.target, new)
        return self.done(site, site.place(b, 0, new & M32))

    def learn(self, old, new):
        d = signed(new - old)
        if not d or old >= 4096 or not -127 <= d <= 127:
            return
        e = self.half[old >> 4 + self.lean]
        if e[1] and e[0] != d:
            e[1] -= 1
        else:
            e[0], e[1] = d, min(e[1] + 1, 3)


def apply(old, patch):
    return Decoder(bytes(old), bytes(patch)).decode()
