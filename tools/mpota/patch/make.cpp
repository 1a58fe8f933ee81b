// Makes a patch: analyses the pair, chooses copies, and keeps the smallest of several ways to code them.
// SPDX-License-Identifier: MIT
#include "encoder.h"

#include <cstring>

namespace {

const int rounds = 3;
const uint32_t shortest_seed = 5;

void put_number(Bytes &out, uint32_t v) {
    for (; v >= 128; v >>= 7) {
        out.push_back((uint8_t)(v | 128));
    }
    out.push_back((uint8_t)v);
}

Bytes header(const ota_patch_info &h) {
    Bytes out = {'m', 'P', 1, (uint8_t)(h.arch | h.windows << 4), h.model, h.region_shift};
    put_number(out, h.state_bytes);
    put_number(out, h.old_size);
    uint32_t d = h.new_size - h.old_size;
    put_number(out, d >> 31 ? ~(d << 1) : d << 1);
    put_number(out, h.base);
    for (uint32_t i = 0; i < h.windows; i++) {
        put_number(out, h.window[i].start >> 12);
        put_number(out, h.window[i].size >> 12);
    }
    out.insert(out.end(), h.old_sha256, h.old_sha256 + 32);
    out.insert(out.end(), h.new_sha256, h.new_sha256 + 32);
    return out;
}

uint32_t state_size(const ota_patch_info &info) {
    static patch_state s;
    s.info = info;
    return patch_layout(&s);
}

// Tries one way to code, and keeps it if it fits the state and is the smallest yet.
void attempt(Job job, const std::vector<Copy> &copies, uint32_t budget, Bytes &best) {
    job.info.state_bytes = state_size(job.info);
    if (job.info.state_bytes > budget) {
        return;
    }
    Bytes patch = header(job.info), body = encode(job, copies, nullptr);
    patch.insert(patch.end(), body.begin(), body.end());
    if (best.empty() || patch.size() < best.size()) {
        best = patch;
    }
}

// For a set of model parts, the largest literal table that fits beside each table of displacements.
void attempt_sizes(Job &job, const std::vector<Copy> &copies, uint32_t budget, Bytes &best) {
    uint8_t parts = job.info.model;
    for (uint8_t shift = 6; shift <= 11; shift++) {
        job.info.region_shift = shift;
        for (uint8_t bits = 13; bits; bits--) {
            uint8_t n = bits == 1 ? 0 : bits;
            job.info.model = (uint8_t)(parts | n);
            if (state_size(job.info) <= budget) {
                attempt(job, copies, budget, best);
                break;
            }
        }
    }
    job.info.model = parts;
}

std::vector<Copy> choose_copies(Job &job) {
    Sites old_sites = find_sites(job.old_image, job.info), new_sites = find_sites(job.new_image, job.info);
    std::vector<Seed> seeds = find_seeds(without_addresses(job.old_image, old_sites), without_addresses(job.new_image, new_sites), shortest_seed);
    add_pointer_seeds(seeds, job, old_sites, new_sites);
    Chooser chooser(job, old_sites, new_sites, seeds);
    std::vector<Copy> copies, best;
    size_t smallest = SIZE_MAX;
    std::vector<float> cost;
    job.info.region_shift = 9;
    job.info.model = PATCH_BY_CLASS | PATCH_BY_PHASE | PATCH_BY_HALF | 12;
    job.info.state_bytes = state_size(job.info);
    for (int i = 0; i < rounds; i++) {
        copies = chooser.choose();
        size_t size = encode(job, copies, &cost).size();
        if (size < smallest) {
            smallest = size;
            best = copies;
        }
        chooser.learn(copies, cost);
    }
    return best;
}

} // namespace

struct mpota_patch_job {
    const uint8_t *old_image, *new_image, *old_sha256, *new_sha256;
    uint32_t old_size, new_size, arch, state_bytes; // arch OTA_PATCH_ARCHS: guess
};

// The patch's size, its bytes at out; 0 if no model fits the state or the patch does not fit into out.
extern "C" uint32_t mpota_patch_make(const mpota_patch_job *j, uint8_t *out, uint32_t room) {
    Job job = {Bytes(j->old_image, j->old_image + j->old_size), Bytes(j->new_image, j->new_image + j->new_size), {}};
    job.info.arch = (uint8_t)(j->arch < OTA_PATCH_ARCHS ? j->arch : guess_arch(job.new_image));
    job.info.old_size = j->old_size;
    job.info.new_size = j->new_size;
    job.info.region_shift = 9;
    memcpy(job.info.old_sha256, j->old_sha256, 32);
    memcpy(job.info.new_sha256, j->new_sha256, 32);
    guess_windows(job.old_image, job.info);
    std::vector<Copy> copies = choose_copies(job);
    Bytes best;
    for (uint32_t parts : {PATCH_BY_CLASS | PATCH_BY_PHASE | PATCH_BY_HALF, PATCH_BY_CLASS | PATCH_BY_HALF, PATCH_BY_CLASS, 0u}) {
        job.info.model = (uint8_t)parts;
        attempt_sizes(job, copies, j->state_bytes, best);
    }
    job.info.arch = OTA_PATCH_RAW;
    job.info.windows = 0;
    job.info.base = 0;
    job.info.model = 0;
    attempt_sizes(job, copies, j->state_bytes, best);
    if (best.size() > room) {
        return 0;
    }
    memcpy(out, best.data(), best.size());
    return (uint32_t)best.size();
}
