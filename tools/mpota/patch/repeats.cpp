// Which new bytes repeat new ones: the cheapest way through what no copy makes.
// SPDX-License-Identifier: MIT
#include "encoder.h"

#include <algorithm>
#include <array>
#include <cmath>

namespace {

const uint32_t least = 3, least_again = PATCH_REPEAT_MIN; // bytes of a repeat from elsewhere, or from as far back as the last one
const uint32_t enough = 255;               // of a match; longer repeats are joined from several
const uint32_t most_looks = 48, hash_bits = 16;
const int rounds = 2; // of prices learned from the way before

// What is coded alike: counts of as many bits; lengths one by one and then likewise.
const int sizes = 33, lengths = 7 + 33;
int size_of(uint32_t n) {
    return 32 - __builtin_clz(n);
}
int length_of(uint32_t n) {
    return n < 9 ? (int)n - 2 : 7 + size_of(n - 8);
}

uint32_t hash(const uint8_t *b) {
    return (b[0] | (uint32_t)b[1] << 8 | (uint32_t)b[2] << 16) * 0x9e3779b1u >> (32 - hash_bits);
}

// How often each thing is in a way; and what that makes one of them cost, in bits.
template <size_t kinds> class Count {
  public:
    explicit Count(double before) { times.fill(before); }

    void add(size_t kind) { times[kind]++; }

    double price(size_t kind) const {
        double all = 0;
        for (double n : times) {
            all += n;
        }
        return std::log2(all / times[kind]);
    }

  private:
    std::array<double, kinds> times;
};

enum { one_literal, one_repeat };
enum { from_elsewhere, again };

} // namespace

struct Repeats::Prices {
    std::array<double, 256> literal;
    std::array<double, 2> start;
    std::array<double, sizes> distance;
    std::array<double, lengths> length;

    double of(uint32_t size, uint32_t d) const { return start[from_elsewhere] + distance[size_of(d)] + length[length_of(size)]; }

    double of_again(uint32_t size) const { return start[again] + length[length_of(size)]; }
};

Repeats::Prices Repeats::guess() {
    Prices p = {};
    p.literal.fill(literal_bits);
    p.start = {3.2, 4};
    for (int i = 0; i < sizes; i++) {
        p.distance[i] = i + 1.5;
    }
    for (int i = 0; i < lengths; i++) {
        p.length[i] = i < 7 ? 3 + 0.4 * i : 5 + 1.2 * (i - 7);
    }
    return p;
}

// Of each offset the longest matches, none farther than a longer one.
Repeats::Repeats(const Bytes &whole) : image(whole) {
    uint32_t n = (uint32_t)image.size();
    std::vector<uint32_t> latest(1u << hash_bits, UINT32_MAX), before(n);
    for (uint32_t at = 0; at < n; at++) {
        first.push_back((uint32_t)matches.size());
        if (n - at < least) {
            continue;
        }
        uint32_t longest = least - 1, limit = std::min(enough, n - at), &head = latest[hash(&image[at])];
        before[at] = head;
        for (uint32_t i = head, looks = 0; i != UINT32_MAX && looks < most_looks && longest < limit; i = before[i], looks++) {
            if (image[i + longest] != image[at + longest]) {
                continue; // no longer
            }
            uint32_t size = 0;
            while (size < limit && image[i + size] == image[at + size]) {
                size++;
            }
            if (size > longest) {
                longest = size;
                matches.push_back({at - i, size});
            }
        }
        head = at;
    }
    first.push_back((uint32_t)matches.size());
}

struct Repeats::Way {
    double cost;
    uint32_t distance : 24, size : 8; // of what comes last: a literal if there is no distance
    uint32_t last;                    // the distance of the last repeat
};

// The cheapest ways to all offsets of a stretch.
std::vector<Repeats::Way> Repeats::ways(uint32_t from, uint32_t to, uint32_t last, const Prices &price) const {
    std::vector<Way> best(to - from + 1, {1e30, 0, 0, 0});
    best[0] = {0, 0, 0, last};
    for (uint32_t at = from; at < to; at++) {
        const Way now = best[at - from];
        auto offer = [&](double cost, uint32_t size, uint32_t distance) {
            Way &w = best[at + size - from];
            if (now.cost + cost < w.cost) {
                w = {now.cost + cost, distance, size, distance ? distance : now.last};
            }
        };
        offer(price.literal[image[at]], 1, 0);
        // All sizes, but of a match that is long enough the whole alone: in data that repeats itself throughout, each offset has one.
        uint32_t limit = std::min(enough, to - at), size = 0;
        while (now.last && size < limit && image[at + size] == image[at + size - now.last]) {
            size++;
        }
        for (uint32_t n = size < enough ? least_again : enough; n <= size; n++) {
            offer(price.of_again(n), n, now.last);
        }
        bool whole = first[at] < first[at + 1] && matches[first[at + 1] - 1].size == enough && limit == enough;
        for (uint32_t i = first[at], n = whole ? enough : least; i < first[at + 1]; i++) {
            for (; n <= std::min<uint32_t>(matches[i].size, limit); n++) {
                offer(price.of(n, matches[i].distance), n, matches[i].distance);
            }
        }
    }
    return best;
}

std::vector<Repeat> Repeats::between(uint32_t from, uint32_t to, uint32_t last, const Prices &price) const {
    std::vector<Way> best = ways(from, to, last, price);
    std::vector<Repeat> found;
    for (uint32_t at = to; at > from;) {
        const Way &w = best[at - from];
        at -= w.size;
        if (!w.distance) {
            continue;
        }
        bool joins = !found.empty() && found.back().to == at + w.size && found.back().distance == w.distance;
        if (joins) {
            found.back() = {at, w.distance, found.back().size + w.size};
        } else {
            found.push_back({at, w.distance, w.size});
        }
    }
    std::reverse(found.begin(), found.end());
    return found;
}

std::vector<Repeat> Repeats::around(const std::vector<Copy> &copies, const Prices &price) const {
    std::vector<Repeat> all;
    uint32_t at = 0, n = (uint32_t)image.size();
    for (size_t i = 0; i <= copies.size(); i++) {
        std::vector<Repeat> found = between(at, i < copies.size() ? copies[i].to : n, all.empty() ? 0 : all.back().distance, price);
        all.insert(all.end(), found.begin(), found.end());
        at = i < copies.size() ? copies[i].to + copies[i].size : n;
    }
    return all;
}

Repeats::Prices Repeats::learn(const std::vector<Copy> &copies, const std::vector<Repeat> &repeats) const {
    Count<256> literal(0.5);
    Count<2> start(1), where(1);
    Count<sizes> distance(0.25);
    Count<lengths> length(0.25);
    std::vector<uint8_t> made(image.size());
    for (const Copy &c : copies) {
        std::fill_n(made.begin() + c.to, c.size, 1);
    }
    uint32_t last = 0;
    for (const Repeat &r : repeats) {
        std::fill_n(made.begin() + r.to, r.size, 1);
        start.add(one_repeat);
        length.add(length_of(r.size));
        where.add(r.distance == last ? again : from_elsewhere);
        if (r.distance != last) {
            distance.add(size_of(r.distance));
        }
        last = r.distance;
    }
    for (size_t i = 0; i < image.size(); i++) {
        if (!made[i]) {
            start.add(one_literal);
            literal.add(image[i]);
        }
    }
    Prices p = {};
    for (size_t i = 0; i < p.literal.size(); i++) {
        p.literal[i] = start.price(one_literal) + literal.price(i);
    }
    for (size_t i = 0; i < p.start.size(); i++) {
        p.start[i] = start.price(one_repeat) + where.price(i);
    }
    for (int i = 1; i < sizes; i++) {
        p.distance[i] = distance.price(i) + i - 1;
    }
    for (int i = 0; i < lengths; i++) {
        p.length[i] = length.price(i) + std::max(0, i - 8);
    }
    return p;
}

std::vector<Repeat> Repeats::find(const std::vector<Copy> &copies) const {
    std::vector<Repeat> found = around(copies, guess());
    for (int i = 0; i < rounds; i++) {
        found = around(copies, learn(copies, found));
    }
    return found;
}

std::vector<Repeat> Repeats::find_roughly(const std::vector<Copy> &copies) const {
    Prices p = guess();
    p.literal = learn(copies, {}).literal;
    return around(copies, p);
}

std::vector<float> Repeats::costs() const {
    uint32_t n = (uint32_t)image.size();
    std::vector<Way> best = ways(0, n, 0, guess());
    std::vector<float> costs(n);
    for (uint32_t at = n; at; at -= best[at].size) {
        const Way &w = best[at];
        std::fill_n(costs.begin() + at - w.size, w.size, (float)((w.cost - best[at - w.size].cost) / w.size));
    }
    return costs;
}
