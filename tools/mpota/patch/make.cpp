// Makes a patch: analyses the pair, chooses copies, and keeps the smallest of several ways to code them.
// SPDX-License-Identifier: MIT
#include "encoder.h"

#include <algorithm>
#include <cstring>

namespace {

// How much is done to find good copies: rounds of choosing, and decisions that may be coded to polish them.
struct Effort {
    uint32_t rounds;
    uint64_t polishing;
};
const Effort full = {5, 80000000}, other_candidates = {2, 0};
const uint64_t followed_a_byte = 100; // diagonals, in a round; there is no further one after more. Firmware: 17 to 70
const size_t polished_copies = 400;
const uint8_t most_lean = 3;
const uint32_t most_state = 255 * 256; // that a header can ask for

void put_number(Bytes &out, uint32_t v) {
    for (; v >= 128; v >>= 7) {
        out.push_back((uint8_t)(v | 128));
    }
    out.push_back((uint8_t)v);
}

Bytes header(const ota_patch_info &h) {
    Bytes out = {'m', 'P', 4, (uint8_t)(h.arch | h.windows << 4), (uint8_t)(h.lean | h.region_shift << 4), (uint8_t)(h.state_bytes >> 8)};
    put_number(out, h.old_size);
    uint32_t d = h.new_size - h.old_size;
    put_number(out, d >> 31 ? ~(d << 1) : d << 1);
    put_number(out, h.base);
    for (uint32_t i = 0; i < h.windows; i++) {
        put_number(out, h.window[i].start >> 16);
        put_number(out, h.window[i].size >> 12);
    }
    out.insert(out.end(), h.old_sha256, h.old_sha256 + 32);
    out.insert(out.end(), h.new_sha256, h.new_sha256 + 32);
    return out;
}

struct Best {
    Bytes patch;
    ota_patch_info info;
    Plan plan;
};

Bytes whole(const Job &job, const Plan &plan) {
    Bytes patch = header(job.info), body = encode(job, plan);
    if (body.empty() && job.info.new_size) {
        return body; // a plan that cannot be coded
    }
    patch.insert(patch.end(), body.begin(), body.end());
    return patch;
}

void attempt(const Job &job, const Plan &plan, Best &best) {
    Bytes patch = whole(job, plan);
    if (!patch.empty() && (best.patch.empty() || patch.size() < best.patch.size())) {
        best = {patch, job.info, plan};
    }
}

// With regions of this size, the least lean other tables that fit beside them. Whether the patch is the smallest yet.
bool attempt_region(Job job, const Plan &plan, uint32_t shift, Best &best) {
    uint32_t budget = std::min(job.info.state_bytes, most_state);
    size_t before = best.patch.size();
    job.info.region_shift = (uint8_t)shift;
    for (uint8_t lean = 0; lean <= most_lean; lean++) {
        job.info.lean = lean;
        job.info.state_bytes = state_size(job.info);
        if (job.info.state_bytes <= budget) {
            attempt(job, plan, best);
            return best.patch.size() != before;
        }
    }
    return false;
}

// The best size of regions, from the middle outwards.
void attempt_regions(const Job &job, const Plan &plan, Best &best) {
    const uint32_t first = 5, middle = 9, last = 13;
    attempt_region(job, plan, middle, best);
    bool finer = false;
    for (uint32_t shift = middle; shift > first && attempt_region(job, plan, shift - 1, best); shift--) {
        finer = true;
    }
    for (uint32_t shift = middle; shift < last && !finer; shift++) {
        if (!attempt_region(job, plan, shift + 1, best) && !best.patch.empty()) {
            break;
        }
    }
}

// Smaller tables beside regions of the best size: they forget sooner what was wrong.
void attempt_leaner(Job job, const Plan &plan, Best &best) {
    size_t before = 0;
    job.info = best.info;
    while (best.patch.size() != before && job.info.lean < most_lean) {
        before = best.patch.size();
        job.info.lean++;
        job.info.state_bytes = state_size(job.info);
        attempt(job, plan, best);
    }
}

// Words that point into a window may be worth less than to know of it.
void attempt_fewer_windows(Job job, const Plan &plan, Best &best) {
    while (job.info.windows--) {
        attempt_region(job, plan, best.info.region_shift, best);
    }
}

// Few of them teach less than they cost.
void attempt_fewer_repeats(const Job &job, const Repeats &repeats, Best &best) {
    const std::vector<Copy> copies = best.plan.copies;
    attempt(job, {copies, repeats.find_roughly(copies), {}}, best);
    attempt(job, {copies, {}, {}}, best);
}

// The last round reckons without repeats: where they are few, copies chosen in their favour cost more than they save.
Plan choose_plan(Job job, const Repeats &repeats, uint32_t rounds) {
    job.info.region_shift = 9;
    job.info.state_bytes = state_size(job.info);
    ota_patch_info moved = job.info; // the new image may be for another address
    guess_windows(job.new_image, moved);
    Sites old_sites = find_sites(job.old_image, job.info), new_sites = find_sites(job.new_image, moved);
    std::vector<Seed> seeds = find_seeds(job, old_sites, new_sites);
    Chooser chooser(job, old_sites, new_sites, seeds);
    const std::vector<float> repeating = repeats.costs(), plain(repeating.size(), literal_bits);
    Plan best;
    size_t smallest = SIZE_MAX;
    Costs costs;
    for (uint32_t i = 0; i < rounds && chooser.followed <= i * followed_a_byte * job.new_image.size(); i++) {
        std::vector<Copy> copies = chooser.choose(i + 1 < rounds ? repeating : plain);
        Plan plan = {copies, repeats.find(copies), {}};
        size_t size = encode(job, plan, &costs).size();
        if (size < smallest && (size || !job.info.new_size)) {
            smallest = size;
            best = plan;
        }
        chooser.learn(copies, costs.substituted);
    }
    return best;
}

// The smallest patch for job.info's architecture that keeps to the decoder's time. Empty if no model fits the state.
Bytes smallest(Job job, Effort effort) {
    Repeats repeats(job.new_image);
    Plan plan = choose_plan(job, repeats, effort.rounds);
    Best best;
    attempt_regions(job, plan, best);
    if (best.patch.empty()) {
        return best.patch;
    }
    attempt_leaner(job, plan, best);
    attempt_fewer_windows(job, plan, best);
    job.info = best.info;
    attempt_fewer_repeats(job, repeats, best);
    if (plan.copies.size() < polished_copies) {
        attempt(job, {polish(job, best.plan, effort.polishing), best.plan.repeats, {}}, best);
    }
    return whole(job, within_budget(job, best.plan));
}

} // namespace

struct mpota_patch_job {
    const uint8_t *old_image, *new_image, *old_sha256, *new_sha256;
    uint32_t old_size, new_size, arch, state_bytes; // arch OTA_PATCH_ARCHS: guess
};

// The patch's size, its bytes at out; 0 if no model fits the state or the patch does not fit into out.
extern "C" uint32_t mpota_patch_make(const mpota_patch_job *j, uint8_t *out, uint32_t room) {
    Job job = {Bytes(j->old_image, j->old_image + j->old_size), Bytes(j->new_image, j->new_image + j->new_size), {}};
    job.info.old_size = j->old_size;
    job.info.new_size = j->new_size;
    job.info.state_bytes = j->state_bytes;
    memcpy(job.info.old_sha256, j->old_sha256, 32);
    memcpy(job.info.new_sha256, j->new_sha256, 32);
    std::vector<uint8_t> archs = j->arch < OTA_PATCH_ARCHS ? std::vector<uint8_t>{(uint8_t)j->arch} : guess_archs(job.new_image);
    if (archs.empty() || archs[0] != OTA_PATCH_RAW) {
        archs.push_back(OTA_PATCH_RAW);
    }
    Bytes best;
    for (size_t i = 0; i < archs.size(); i++) {
        job.info.arch = archs[i];
        guess_windows(job.old_image, job.info);
        Bytes patch = smallest(job, i ? other_candidates : full);
        if (best.empty() || (!patch.empty() && patch.size() < best.size())) {
            best = patch;
        }
    }
    if (best.empty() || best.size() > room) {
        return 0;
    }
    memcpy(out, best.data(), best.size());
    return (uint32_t)best.size();
}
