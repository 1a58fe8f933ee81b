// Which copies: the cheapest way through the new image, where a way is at each offset a literal or on a diagonal.
// SPDX-License-Identifier: MIT
#include "encoder.h"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <cstring>

namespace {

// Bits, not quite as encoding costs them: a copy is worth less than it promises, most of all where the decoder's time is short. Real
// pairs' patches are smallest so.
const double substitution_cost = 10.5, hit_cost = 0.04, end_cost = 11;
const double start_same = 6, start_elsewhere = 9, start_back = 1.5; // and the bits of the distance
const double site_hit = 0.3, site_first = 10, site_miss = 16, site_zero = 2, site_again = 6, site_by_bytes = 4, site_unlike = 2;
const size_t most_paths = 200; // diagonals followed at a time

} // namespace

// A diagonal being followed: the best cost of being on it, and since where.
struct Chooser::Path {
    int32_t diagonal;
    double cost;
    uint32_t start, covered, end, weight;
    int32_t moved[2]; // displacements of its last sites
    std::array<uint32_t, 4> ends; // where in the old image the copies before it ended, the latest first
};

struct Chooser::Run {
    struct Back {
        int32_t diagonal;
        uint32_t start;
    };
    std::vector<Path> paths;
    std::vector<Back> back; // how the best way off copies came to each offset; start == offset: a literal
    double gap = 0;         // its cost
    int32_t diagonal = 0;   // its last diagonal
    std::array<uint32_t, 4> ends = {};
    uint32_t gap_from = 0; // where its last copy ended in the new image
};

Chooser::Chooser(const Job &j, const Sites &o, const Sites &n, const std::vector<Seed> &s)
    : job(j), old_sites(o), new_sites(n), seeds(s), fine(j.info), substitution(j.new_image.size() + 8, (float)substitution_cost) {}

int32_t Chooser::region(uint32_t address) const {
    uint32_t first = ((fine.old_size + PATCH_BEYOND) >> 9) + 1;
    if (address - fine.base < fine.old_size + PATCH_BEYOND) {
        return (int32_t)((address - fine.base) >> 9);
    }
    for (uint32_t i = 0; i < fine.windows; i++) {
        if (address - fine.window[i].start < fine.window[i].size) {
            return (int32_t)(first + ((address - fine.window[i].start) >> 9));
        }
        first += fine.window[i].size >> 9;
    }
    return -1;
}

double Chooser::site_cost(Path &path, uint32_t from, uint32_t to) const {
    double bytes = 0;
    for (uint32_t i = 0; i < old_sites.size[from]; i++) {
        if (job.old_image[from + i] != job.new_image[to + i]) {
            bytes += substitution[to + i];
        }
    }
    double otherwise = bytes > 0 ? bytes + site_by_bytes : site_unlike;
    if (new_sites.type[to] != old_sites.type[from]) {
        return otherwise;
    }
    int32_t d = (int32_t)(new_sites.target[to] - old_sites.target[from]);
    bool again = d == path.moved[0] || d == path.moved[1];
    if (d != path.moved[0]) {
        path.moved[1] = path.moved[0];
        path.moved[0] = d;
    }
    if (!learned) {
        return site_hit + (again ? 0.5 : d == 0 || d == path.diagonal ? site_zero : site_first);
    }
    int32_t r = region(old_sites.target[from]);
    if (old_sites.type[from] == PATCH_LOAD && d == (int32_t)(to - from)) {
        return site_hit;
    }
    if (r >= 0 && std::find(known[r].begin(), known[r].end(), d) != known[r].end()) {
        return site_hit;
    }
    return std::min(otherwise, again ? site_again : site_miss);
}

double Chooser::step_cost(Path &path, uint32_t from, uint32_t to) const {
    if (to < path.covered) {
        return 0;
    }
    if (from >= job.old_image.size()) {
        return job.new_image[to] == 0xff ? hit_cost : substitution[to];
    }
    bool fits = old_sites.type[from] != PATCH_WORD || !((from ^ to) & 3);
    if (old_sites.type[from] != PATCH_NO_SITE && fits && to + 4 <= job.new_image.size()) {
        path.covered = to + old_sites.size[from];
        return site_cost(path, from, to);
    }
    const double by_equal[] = {substitution[to], hit_cost}; // which one cannot be foretold
    return by_equal[job.old_image[from] == job.new_image[to]];
}

// By the distance from where the last copy ended, or one of the three before.
double Chooser::start_cost(const Run &run, uint32_t at, int32_t diagonal) const {
    if (diagonal == run.diagonal) {
        return run.gap + start_same;
    }
    uint32_t from = at - (uint32_t)diagonal, back = UINT32_MAX;
    auto distance = [from](uint32_t end) { return (uint32_t)std::abs((int32_t)(from - end)); };
    auto bits = [](uint32_t n) { return n ? 32 - __builtin_clz(n) : 0; };
    for (size_t i = 1; i < run.ends.size(); i++) {
        back = std::min(back, distance(run.ends[i]));
    }
    return run.gap + start_elsewhere + std::min((double)bits(distance(run.ends[0] + at - run.gap_from)), bits(back) + start_back);
}

void Chooser::begin(Run &run, uint32_t at, const Seed &seed) const {
    for (Path &p : run.paths) {
        if (p.diagonal == seed.diagonal) {
            p.end = std::max(p.end, seed.end);
            p.weight = std::max(p.weight, seed.weight);
            return;
        }
    }
    run.paths.push_back({seed.diagonal, start_cost(run, at, seed.diagonal), at, 0, seed.end, seed.weight, {seed.diagonal, 0}, run.ends});
}

// The best way to be off copies at `at`.
void Chooser::leave(Run &run, uint32_t at, const std::vector<float> &literal) const {
    run.back[at] = {0, at};
    if (at == 0) {
        return;
    }
    double best = run.gap + literal[at - 1];
    int32_t diagonal = run.diagonal;
    const Path *via = nullptr;
    for (const Path &p : run.paths) {
        if (p.cost + end_cost < best) {
            best = p.cost + end_cost;
            diagonal = p.diagonal;
            via = &p;
            run.back[at] = {p.diagonal, p.start};
        }
    }
    if (via) {
        run.ends = {at - (uint32_t)via->diagonal, via->ends[0], via->ends[1], via->ends[2]};
        run.gap_from = at;
    }
    run.gap = best;
    run.diagonal = diagonal;
}

void Chooser::advance(Run &run, uint32_t at) {
    size_t kept = 0;
    followed += run.paths.size();
    for (Path &p : run.paths) {
        p.cost += step_cost(p, at - (uint32_t)p.diagonal, at);
        if (at < p.end || p.cost <= run.gap + 1) {
            if (&run.paths[kept] != &p) {
                run.paths[kept] = p;
            }
            kept++;
        }
    }
    run.paths.resize(kept);
    if (kept > most_paths) {
        size_t few = most_paths * 2 / 3;
        std::nth_element(run.paths.begin(), run.paths.begin() + (ptrdiff_t)few, run.paths.end(), [](const Path &a, const Path &b) {
            return a.weight != b.weight ? a.weight > b.weight : a.diagonal < b.diagonal;
        });
        run.paths.resize(few);
    }
}

std::vector<Copy> Chooser::choose(const std::vector<float> &literal) {
    Run run;
    uint32_t n = (uint32_t)job.new_image.size();
    run.back.resize(n + 1);
    size_t next = 0;
    for (uint32_t at = 0; at <= n; at++) {
        leave(run, at, literal);
        if (at == n) {
            break;
        }
        for (; next < seeds.size() && seeds[next].at <= at; next++) {
            begin(run, at, seeds[next]);
        }
        for (Path &p : run.paths) {
            if (p.cost <= run.gap + (p.diagonal == run.diagonal ? start_same : start_elsewhere)) {
                continue; // no start is cheaper
            }
            double cost = start_cost(run, at, p.diagonal);
            if (cost < p.cost && at - (uint32_t)p.diagonal <= job.old_image.size()) {
                p.cost = cost;
                p.start = at;
                p.covered = 0;
                p.ends = run.ends;
            }
        }
        advance(run, at);
    }
    std::vector<Copy> copies;
    for (uint32_t at = n; at;) {
        const Run::Back &b = run.back[at];
        if (b.start == at) {
            at--;
        } else {
            copies.push_back({b.start, b.start - (uint32_t)b.diagonal, at - b.start});
            at = b.start;
        }
    }
    std::reverse(copies.begin(), copies.end());
    return copies;
}

// Which displacements the decoder will know of each region.
void Chooser::learn_displacements(const std::vector<Copy> &copies) {
    const size_t by_copy = 3, by_site = 6;
    std::vector<std::vector<std::pair<int32_t, int>>> seen;
    uint32_t regions = ((fine.old_size + PATCH_BEYOND) >> 9) + 2;
    for (uint32_t i = 0; i < fine.windows; i++) {
        regions += fine.window[i].size >> 9;
    }
    known.assign(regions, {});
    seen.resize(regions);
    auto add = [](std::vector<int32_t> &v, int32_t d, size_t most) {
        if (v.size() < most && std::find(v.begin(), v.end(), d) == v.end()) {
            v.push_back(d);
        }
    };
    for (const Copy &c : copies) {
        uint32_t end = std::min(c.from + c.size, (uint32_t)job.old_image.size());
        for (uint32_t r = c.from >> 9; c.size >= 32 && r <= end >> 9; r++) {
            add(known[r], (int32_t)(c.to - c.from), by_copy);
        }
        for (uint32_t i = 0; c.from + i + 4 <= end; i++) {
            int32_t r = old_sites.type[c.from + i] == PATCH_NO_SITE ? -1 : region(old_sites.target[c.from + i]);
            if (r < 0 || old_sites.type[c.from + i] != new_sites.type[c.to + i]) {
                continue;
            }
            int32_t d = (int32_t)(new_sites.target[c.to + i] - old_sites.target[c.from + i]);
            auto &v = seen[r];
            auto f = std::find_if(v.begin(), v.end(), [d](const std::pair<int32_t, int> &x) { return x.first == d; });
            if (f == v.end()) {
                v.push_back({d, 1});
            } else if (++f->second == 2) {
                add(known[r], d, by_site);
            }
        }
    }
}

void Chooser::learn(const std::vector<Copy> &copies, const std::vector<float> &cost) {
    learn_displacements(copies);
    learned = true;
    // A substitution costs what those around it did: in tables of renumbered things they are cheap.
    const int64_t reach = 64, n = (int64_t)job.new_image.size();
    double sum = 0, count = 0;
    auto at = [&](int64_t i) { return i >= 0 && i < n ? (double)cost[(size_t)i] : 0; };
    for (int64_t i = -reach; i < n; i++) {
        sum += at(i + reach) - at(i - reach);
        count += (at(i + reach) > 0) - (at(i - reach) > 0);
        if (i >= 0) {
            substitution[(size_t)i] = (float)((sum + 15) / (count + 3) + 30 / (count + 8));
        }
    }
}
