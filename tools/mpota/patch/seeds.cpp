// Where the images agree: the longest matches of every new offset, by a suffix array of the old image.
// SPDX-License-Identifier: MIT
#include "encoder.h"

#include <algorithm>
#include <cstdlib>
#include <string>
#include <unordered_map>

namespace {

const uint32_t shortest = 5;
const uint32_t longest = 4096;   // matches are not measured further
const uint32_t long_enough = 200; // inside a match that goes on for so long no other is looked for
const int neighbours = 10, few_neighbours = 1; // matches tried on either side of the best
const uint32_t margin = 32, padding = 64;
const uint32_t patience_limit = 64;
// Where much is alike by chance, each diagonal would be followed to the end. Firmware takes up to 200 looks a byte of the new image; after
// more than that, few diagonals are followed, and not far.
const uint64_t looks_a_byte = 600;
const int64_t not_far = 64;

// Sorts the suffixes by their first 2, 4, 8... bytes (prefix doubling with counting sorts).
class SuffixArray {
  public:
    explicit SuffixArray(const Bytes &text) : n((int)text.size()), order(n), rank(n), other(n), count(std::max(n, 65536) + 2) {
        first_ranks(text);
        for (int k = 2; ranks < n; k *= 2) {
            sort_by(k);
            rank_by(k);
        }
    }
    int size() const { return n; }
    int operator[](int i) const { return order[i]; }

  private:
    void count_ranks() {
        std::fill(count.begin(), count.begin() + ranks + 1, 0);
        for (int r : rank) {
            count[r + 1]++;
        }
        for (int i = 0; i < ranks; i++) {
            count[i + 1] += count[i];
        }
    }

    void first_ranks(const Bytes &text) {
        // Two bytes, the missing one after the end below all others.
        std::vector<int> key(n);
        for (int i = 0; i < n; i++) {
            key[i] = text[i] * 257 + (i + 1 < n ? text[i + 1] + 1 : 0);
        }
        std::vector<int> start(65793, 0);
        for (int k : key) {
            start[k + 1]++;
        }
        for (size_t i = 1; i < start.size(); i++) {
            start[i] += start[i - 1];
        }
        for (int i = 0; i < n; i++) {
            order[start[key[i]]++] = i;
        }
        ranks = 0;
        for (int i = 0; i < n; i++) {
            ranks += i == 0 || key[order[i]] != key[order[i - 1]];
            rank[order[i]] = ranks - 1;
        }
    }

    void sort_by(int k) {
        int p = 0;
        for (int i = std::max(0, n - k); i < n; i++) {
            other[p++] = i;
        }
        for (int i : order) {
            if (i >= k) {
                other[p++] = i - k;
            }
        }
        count_ranks();
        for (int i : other) {
            order[count[rank[i]]++] = i;
        }
    }

    void rank_by(int k) {
        ranks = 0;
        for (int i = 0; i < n; i++) {
            ranks += i == 0 || !same(order[i - 1], order[i], k);
            other[order[i]] = ranks - 1;
        }
        rank.swap(other);
    }

    bool same(int a, int b, int k) const { return rank[a] == rank[b] && a + k < n && b + k < n && rank[a + k] == rank[b + k]; }

    int n, ranks = 0;
    std::vector<int> order, rank, other, count;
};

class Finder {
  public:
    Finder(const Bytes &o, const Bytes &n) : old_image(o), new_image(n), order(o), covered(o.size() + n.size()) {}

    std::vector<Seed> all() {
        for (uint32_t at = 0; at + shortest <= new_image.size(); at++) {
            open.erase(std::remove_if(open.begin(), open.end(), [at](const Seed &s) { return s.end <= at; }), open.end());
            if (std::none_of(open.begin(), open.end(), [at](const Seed &s) { return s.end > at + long_enough; })) {
                find(at);
            }
        }
        return seeds;
    }

  private:
    bool patient() const { return looks < looks_a_byte * new_image.size(); }

    uint32_t common(uint32_t from, uint32_t at) const {
        uint32_t n = 0, limit = (uint32_t)std::min({old_image.size() - from, new_image.size() - at, (size_t)longest});
        while (n < limit && old_image[from + n] == new_image[at + n]) {
            n++;
        }
        return n;
    }

    // Index of the first suffix that is not below the new image at `at`.
    int lower(uint32_t at) const {
        int a = 0, b = order.size();
        while (a < b) {
            int m = a + (b - a) / 2;
            uint32_t from = (uint32_t)order[m], n = common(from, at);
            bool below = n < longest && at + n < new_image.size() && (from + n == old_image.size() || old_image[from + n] < new_image[at + n]);
            if (below) {
                a = m + 1;
            } else {
                b = m;
            }
        }
        return a;
    }

    // Padding: every diagonal through it agrees.
    bool alike(uint32_t at) const {
        auto first = new_image.begin() + at;
        return at + padding <= new_image.size() && std::all_of(first, first + padding, [first](uint8_t b) { return b == *first; });
    }

    void find(uint32_t at) {
        int middle = lower(at), most = patient() && !alike(at) ? neighbours : few_neighbours;
        for (int i = middle; i < order.size() && i < middle + most && add(at, (uint32_t)order[i]); i++) {
        }
        for (int i = middle - 1; i >= 0 && i >= middle - most && add(at, (uint32_t)order[i]); i--) {
        }
    }

    bool add(uint32_t at, uint32_t from) {
        uint32_t n = common(from, at);
        if (n < shortest) {
            return false;
        }
        int32_t diagonal = (int32_t)(at - from);
        open.push_back({at, at + n, diagonal, n});
        uint32_t &known = covered[old_image.size() + (size_t)diagonal];
        if (known <= at) {
            seeds.push_back(extend(at, diagonal, n));
            known = seeds.back().end;
        }
        return true;
    }

    // How far the images agree more often than not, in one direction.
    uint32_t reach(uint32_t at, int32_t diagonal, int step, int patience, uint32_t &weight) {
        int64_t i = at, score = 0, best = 0, end = at;
        for (; score > best - patience; i += step, looks++) {
            if (!patient() && std::abs(i - (int64_t)at) > not_far) {
                break;
            }
            int64_t from = i - diagonal;
            if (i < 0 || from < 0 || i >= (int64_t)new_image.size() || from >= (int64_t)old_image.size()) {
                break;
            }
            score += old_image[(size_t)from] == new_image[(size_t)i] ? 1 : -1;
            if (score > best) {
                best = score;
                end = i;
            }
        }
        weight += (uint32_t)best;
        return (uint32_t)end;
    }

    Seed extend(uint32_t at, int32_t diagonal, uint32_t n) {
        int patience = (int)std::min(16 + 2 * n, patience_limit);
        Seed s = {at, at + n, diagonal, n};
        s.end = reach(at + n, diagonal, 1, patience, s.weight) + margin;
        if (at > 0) {
            s.at = reach(at - 1, diagonal, -1, patience, s.weight);
        }
        s.at -= std::min(s.at, margin);
        s.at = std::max(s.at, (uint32_t)std::max(diagonal, 0));
        return s;
    }

    const Bytes &old_image, &new_image;
    uint64_t looks = 0;
    SuffixArray order;
    std::vector<Seed> seeds, open;
    std::vector<uint32_t> covered; // by diagonal, from the least on: the end of its last seed
};

// What a pointer points at, up to a terminating zero.
std::string pointee(const Bytes &image, const Sites &sites, uint32_t at, uint32_t base) {
    uint32_t offset = sites.target[at] - base;
    if (sites.type[at] != PATCH_WORD || offset >= image.size()) {
        return "";
    }
    std::string key;
    for (uint32_t i = offset; i < image.size() && i < offset + 12; i++) {
        key += (char)image[i];
        if (!image[i]) {
            break;
        }
    }
    return key.size() > 2 ? key : "";
}

// Pointers to the same thing belong together, whatever their neighbours: without addresses one entry of a table of
// pointers is like the next.
void add_pointer_seeds(std::vector<Seed> &seeds, const Job &job, const Sites &old_sites, const Sites &new_sites) {
    const size_t most = 4;
    std::unordered_map<std::string, std::vector<uint32_t>> places;
    for (uint32_t i = 0; i + 4 <= job.old_image.size(); i++) {
        std::string key = pointee(job.old_image, old_sites, i, job.info.base);
        if (!key.empty()) {
            places[key].push_back(i);
        }
    }
    for (uint32_t i = 0; i + 4 <= job.new_image.size(); i++) {
        auto f = places.find(pointee(job.new_image, new_sites, i, job.info.base));
        if (f == places.end() || f->second.size() > most) {
            continue;
        }
        for (uint32_t from : f->second) {
            seeds.push_back({i - std::min({i, from, 8u}), i + 32, (int32_t)(i - from), 8});
        }
    }
}

// Padding: what looks erased is what stands behind the old image.
void add_erased_seeds(std::vector<Seed> &seeds, const Job &job) {
    const uint32_t least = 32; // shorter ones cost little as new bytes
    const Bytes &b = job.new_image;
    for (uint32_t at = 0, end; at < b.size(); at = end + 1) {
        for (end = at; end < b.size() && b[end] == 0xff; end++) {
        }
        if (end - at >= least) {
            seeds.push_back({at, end, (int32_t)(at - job.info.old_size), end - at});
        }
    }
}

} // namespace

std::vector<Seed> find_seeds(const Job &job, const Sites &old_sites, const Sites &new_sites) {
    std::vector<Seed> seeds;
    if (job.old_image.size() > 1) {
        seeds = Finder(without_addresses(job.old_image, old_sites), without_addresses(job.new_image, new_sites)).all();
    }
    add_erased_seeds(seeds, job);
    add_pointer_seeds(seeds, job, old_sites, new_sites);
    // Runs that are nearly in order, one behind the other: std::sort falls into its slow case on them.
    std::stable_sort(seeds.begin(), seeds.end(), [](const Seed &a, const Seed &b) {
        return a.at != b.at ? a.at < b.at : a.diagonal != b.diagonal ? a.diagonal < b.diagonal : a.end < b.end;
    });
    return seeds;
}
