// The coder that encodes, and the answers that lead the model through the new image.
// SPDX-License-Identifier: MIT
#include "encoder.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <cstdlib>

namespace {

// Range encoder with carry, the mirror of the decoder's patch_narrow and patch_renew.
class RangeEncoder {
  public:
    void narrow(uint32_t &range, uint32_t bound, bool bit) {
        if (bit) {
            range = bound;
        } else {
            low += bound;
            range -= bound;
        }
    }

    void renew(uint32_t &range) {
        while (range < 1u << 24) {
            range <<= 8;
            shift();
        }
    }

    // A byte that the decoder takes as it is, when it has read 4 of the coder's bytes ahead.
    void plain(uint8_t byte) {
        verbatim.push_back({4 + shifts, byte});
    }

    // The shortest number inside the last interval; zero bytes at its end are left off, as far as the decoder allows.
    Bytes finish(uint32_t range) {
        for (int bits = 32; bits >= 0; bits -= 8) {
            uint64_t mask = (1ull << bits) - 1, v = (low + mask) & ~mask;
            if (v - low < range) {
                low = v;
                break;
            }
        }
        for (int i = 0; i < 5; i++) {
            shift();
        }
        Bytes all;
        size_t at = 0;
        for (const Verbatim &v : verbatim) {
            all.insert(all.end(), out.begin() + (ptrdiff_t)at, out.begin() + (ptrdiff_t)v.at);
            all.push_back(v.byte);
            at = v.at;
        }
        all.insert(all.end(), out.begin() + (ptrdiff_t)at, out.end());
        for (int i = 0; i < 4 && !all.empty() && all.back() == 0; i++) {
            all.pop_back();
        }
        return all;
    }

  private:
    // Its place among the coder's bytes.
    struct Verbatim {
        size_t at;
        uint8_t byte;
    };

    void shift() {
        shifts++;
        if (low < 0xff000000u || low >> 32) {
            uint8_t carry = (uint8_t)(low >> 32);
            if (begun) {
                out.push_back((uint8_t)(cache + carry));
            }
            begun = true;
            for (; pending; pending--) {
                out.push_back((uint8_t)(0xff + carry));
            }
            cache = (uint8_t)(low >> 24);
        } else {
            pending++;
        }
        low = (low & 0xffffff) << 8;
    }

    Bytes out;
    std::vector<Verbatim> verbatim;
    size_t shifts = 0;
    uint64_t low = 0;
    uint64_t pending = 0;
    uint8_t cache = 0;
    bool begun = false;
};

struct Encoder {
    const Job &job;
    const std::vector<Copy> &copies;
    const std::vector<Repeat> &repeats;
    const std::vector<uint32_t> &switches;
    Costs *costs;
    patch_state *state;
    RangeEncoder coder;
    size_t next = 0, next_repeat = 0, next_switch = 0;
    uint32_t copy_end = 0, asked_at = 0;
    bool byte_asked = false;
    bool site_asked = false, end_asked = false; // in this step
    // In this step: decisions and their bits, those of new bytes by nodes that learn, verbatim bytes, those of a copy that came one by one, and
    // of them those that changed, as was known, and otherwise than was known.
    uint32_t decisions = 0, learning = 0, verbatim = 0, single = 0, changed = 0, again = 0, otherwise = 0;
    double bits = 0;

    uint32_t answer(patch_question q, const void *p, uint32_t n);
    uint32_t target_of(const patch_site &old_site, const uint8_t *old) const;
    uint32_t shift_of(const patch_guess &g) const;
    uint32_t half_of(const patch_guess &g) const;
    void foresee(uint8_t byte);
    bool starts();
    uint32_t repeats_here();
    bool switches_here();
    void spend(double bit_count, bool decided);
    double work(bool copying, bool repeating, uint32_t at) const;
};

// Two at once are none.
bool Encoder::switches_here() {
    while (next_switch + 1 < switches.size() && switches[next_switch + 1] <= state->new_pos) {
        next_switch += 2;
    }
    return next_switch < switches.size() && switches[next_switch] <= state->new_pos;
}

void Encoder::spend(double bit_count, bool decided) {
    const Work &w = work_on(job.info.arch);
    uint32_t at = byte_asked ? asked_at : state->new_pos;
    bits += decided ? bit_count : 0;
    costs->all_bits += bit_count;
    costs->decisions++;
    costs->bits[at] += (float)bit_count;
    if (byte_asked) {
        costs->bytes[at] += (float)bit_count;
        costs->substituted[at] += state->copying ? (float)bit_count : 0;
        costs->byte_work[at] += decided ? (float)(w.decision + w.bit * bit_count) : 0;
    }
}

bool Encoder::starts() {
    uint32_t at = state->new_pos;
    while (next < copies.size() && copies[next].to + copies[next].size <= at) {
        next++;
    }
    return next < copies.size() && copies[next].to <= at;
}

// How much of a repeat starts here: the step before may have come beyond its beginning, and a copy may come before its end.
uint32_t Encoder::repeats_here() {
    uint32_t at = state->new_pos, limit = next < copies.size() ? copies[next].to : (uint32_t)job.new_image.size();
    while (next_repeat < repeats.size() && repeats[next_repeat].to + repeats[next_repeat].size < at + PATCH_REPEAT_MIN) {
        next_repeat++;
    }
    if (next_repeat == repeats.size() || repeats[next_repeat].to > at || limit < at + PATCH_REPEAT_MIN) {
        return 0;
    }
    return std::min(limit, repeats[next_repeat].to + repeats[next_repeat].size) - at;
}

// The target or number that makes the site's old bytes the new ones.
uint32_t Encoder::target_of(const patch_site &old_site, const uint8_t *old) const {
    uint32_t at = state->new_pos;
    const uint8_t *b = &job.new_image[at];
    patch_site site = old_site;
    uint8_t placed[4];
    memcpy(placed, old, 4);
    if (old_site.type == PATCH_WORD || old_site.type == PATCH_HALF) {
        return old_site.type == PATCH_WORD ? ota_get_le32(b) : ota_get_le16(b);
    }
    state->arch.is->look(state, &site, b, state->info.base + at);
    if (site.type != old_site.type || !patch_place(state, &old_site, placed, site.target) || memcmp(placed, b, site.size)) {
        return PATCH_NO_SHIFT;
    }
    return site.target;
}

// The displacement that turns the site's old bytes into the new ones.
uint32_t Encoder::shift_of(const patch_guess &g) const {
    uint32_t target = target_of(*g.site, g.old);
    return target == PATCH_NO_SHIFT ? PATCH_NO_SHIFT : target - g.site->target;
}

// The number in the new image that the site's one turned into.
uint32_t Encoder::half_of(const patch_guess &g) const {
    if (state->new_pos >= copy_end) {
        return PATCH_NO_SHIFT;
    }
    uint32_t value = target_of(*g.site, g.old);
    return value >= 65536 || abs((int)value - (int)g.site->target) >= 256 ? PATCH_NO_SHIFT : value;
}

// What a new byte will take besides its decisions, by the way that patch_model.c's changed_by or literal_step will go.
void Encoder::foresee(uint8_t byte) {
    if (state->verbatim || !costs) {
        return;
    }
    const Work &w = work_on(job.info.arch);
    const uint16_t *tree = state->node + N_LITERAL;
    bool known = false, same = false;
    if (state->copying) {
        uint8_t old = state->old_pos < job.info.old_size ? job.old_image[state->old_pos] : 0xff, change = *patch_change(state, old);
        byte = (uint8_t)(byte - old);
        known = change;
        same = known && byte == change;
        tree = same ? nullptr : state->node + N_SUB;
    }
    uint32_t nodes = 0;
    for (uint32_t i = 1; tree && i < 256; i = 2 * i + (byte >> 7), byte = (uint8_t)(byte << 1)) {
        nodes += tree[i] >> 15;
    }
    again += same;
    otherwise += known && !same;
    learning += nodes;
    costs->byte_work[asked_at] += (float)(w.learning * nodes + (same ? w.again : known ? w.otherwise : 0));
}

const Work on_lx106 = {23.2, 2.2, 11, 28, 109, 289, 338, 144, 80, 96, 90, 120, 300, 169, 115, 72000},
           on_cortex_m4 = {24.3, 2.9, 20, 24, 81, 415, 322, 127, 78, 94, 93, 111, 280, 148, 45, 55000},
           on_either = {24.1, 3, 14, 27, 96, 383, 343, 156, 95, 106, 98, 140, 248, 125, 114, 40000};

double Encoder::work(bool copying, bool repeating, uint32_t at) const {
    const Work &w = work_on(job.info.arch);
    if (repeating) {
        return w.repeat;
    }
    double coded = w.decision * decisions + w.bit * bits + w.verbatim * verbatim + w.learning * learning;
    if (!copying) {
        return coded + (state->new_pos > at ? w.literals : state->repeat ? w.repeat_start : w.start);
    }
    double of_site = site_asked ? w.site + (end_asked ? w.alternative : 0) : 0;
    return coded + w.copy + w.single * single + w.changed * changed + w.again * again + w.otherwise * otherwise + of_site;
}

uint32_t Encoder::answer(patch_question q, const void *p, uint32_t n) {
    uint32_t at = state->new_pos;
    byte_asked = false;
    site_asked |= q == PATCH_ASK_SITE;
    end_asked |= q == PATCH_ASK_END;
    switch (q) {
    case PATCH_ASK_SITE:
    case PATCH_ASK_EQUAL:
        if (at >= copy_end || at + n > job.new_image.size() || memcmp(&job.new_image[at], p, n)) {
            return false;
        }
        single += n == 1;
        return true;
    case PATCH_ASK_BYTE:
        byte_asked = true;
        single += state->copying;
        changed += state->copying;
        asked_at = at + n;
        foresee(job.new_image[at + n]);
        return job.new_image[at + n];
    case PATCH_ASK_START:
        return switches_here() || starts() || repeats_here() > 0;
    case PATCH_ASK_KIND:
        if (switches_here()) {
            next_switch++;
            return KIND_SWITCH;
        }
        if (starts()) {
            return 0;
        }
        return repeats[next_repeat].distance == state->distance ? KIND_AGAIN : KIND_REPEAT;
    case PATCH_ASK_DISTANCE:
        return repeats[next_repeat].distance;
    case PATCH_ASK_LENGTH:
        return repeats_here();
    case PATCH_ASK_OLD:
        copy_end = copies[next].to + copies[next].size;
        // The step before may have come beyond where it starts, and the image's end: behind that all is alike.
        return std::min(copies[next].from + (at - copies[next].to), job.info.old_size);
    case PATCH_ASK_REACH: {
        uint32_t k = 0;
        while (k < 15 && copy_end - at >= 256u << k) {
            k++;
        }
        return k;
    }
    case PATCH_ASK_END:
        single += at >= copy_end;
        return at >= copy_end;
    case PATCH_ASK_HALF:
        return half_of(*static_cast<const patch_guess *>(p));
    default:
        return shift_of(*static_cast<const patch_guess *>(p));
    }
}

int read_old(void *ctx, uint32_t offset, void *buf, uint32_t n) {
    memcpy(buf, static_cast<Encoder *>(ctx)->job.old_image.data() + offset, n);
    return 0;
}

int read_new(void *ctx, uint32_t offset, void *buf, uint32_t n) {
    memcpy(buf, static_cast<Encoder *>(ctx)->job.new_image.data() + offset, n);
    return 0;
}

} // namespace

// The encoder's state begins with a pointer to its encoder.
static Encoder *encoder_of(patch_state *s) {
    return *reinterpret_cast<Encoder **>(reinterpret_cast<char *>(s) - 8);
}

extern "C" int patch_narrow(patch_state *s, patch_interval *c, uint32_t bound, int want) {
    Encoder *e = encoder_of(s);
    double before = c->range;
    e->decisions++;
    e->coder.narrow(c->range, bound, want != 0);
    if (e->costs) {
        e->spend(std::log2(before / c->range), true);
    }
    return want != 0;
}

extern "C" void patch_renew(patch_state *s, patch_interval *c) {
    encoder_of(s)->coder.renew(c->range);
}

extern "C" uint32_t patch_byte(patch_state *s, uint32_t want) {
    Encoder *e = encoder_of(s);
    if (e->costs) {
        e->spend(8, false);
    }
    e->verbatim++;
    e->coder.plain((uint8_t)want);
    return want & 255;
}

extern "C" uint32_t patch_ask(patch_state *s, patch_question q, const void *p, uint32_t n) {
    return encoder_of(s)->answer(q, p, n);
}

const Work &work_on(uint8_t arch) {
    return arch == OTA_PATCH_XTENSA ? on_lx106 : arch == OTA_PATCH_RAW ? on_either : on_cortex_m4;
}

uint32_t state_size(const ota_patch_info &info) {
    patch_state s;
    s.info = info;
    return (patch_layout(&s) + 255) & ~255u;
}

Bytes encode(const Job &job, const Plan &plan, Costs *costs) {
    std::vector<uint64_t> memory(1 + job.info.state_bytes / 8);
    auto *s = reinterpret_cast<patch_state *>(memory.data() + 1);
    s->info = job.info;
    patch_layout(s);
    patch_model_init(s);
    s->interval.range = 0xffffffffu;
    Encoder e = {job, plan.copies, plan.repeats, plan.switches, costs, s, {}};
    *reinterpret_cast<Encoder **>(memory.data()) = &e;
    if (costs) {
        std::vector<float> none(job.new_image.size() + 8);
        *costs = {none, none, none, none, none};
        costs->work[0] = work_on(job.info.arch).begin;
    }
    ota_patch_io io = {&e, read_old, read_new};
    while (s->new_pos < job.new_image.size()) {
        uint32_t at = s->new_pos;
        bool copying = s->copying, repeating = s->repeat;
        e.decisions = e.learning = e.verbatim = e.single = e.changed = e.again = e.otherwise = 0;
        e.bits = 0;
        e.site_asked = e.end_asked = false;
        s->out.at = s->item;
        if (patch_steps(s, &io, PATCH_STEP_OUT) < 0) {
            return {};
        }
        if (costs) {
            costs->work[at] += (float)e.work(copying, repeating, at);
        }
    }
    return e.coder.finish(s->interval.range);
}
