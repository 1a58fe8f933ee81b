// Keeps the time that decoding a sector takes within bounds: where it would take longer, new bytes are put into the patch verbatim.
// SPDX-License-Identifier: MIT
#include "encoder.h"

#include <algorithm>

namespace {

const uint32_t sector_size = 4096;
const double budget = 960000; // instructions of an LX106 for a sector; what is promised is 1,000,000
const int rounds = 5;

// What a verbatim byte costs, and a switch.
const double byte_bits = 8, byte_work = 20, tree_work = 8 * 27 + 22;
const double switch_bits = 9, switch_work = 250;

// The cheapest way through a sector with a price for an instruction in bits, in two states: new bytes by their trees, or verbatim.
class Sector {
  public:
    Sector(const Costs &c, const std::vector<uint8_t> &inside_copy, uint32_t first, uint32_t end)
        : costs(c), inside(inside_copy), from(first), to(end), came((end - first) * 2) {}

    // The fewest bits with at most this work saved: marks[i] becomes whether byte i is verbatim.
    void mark(double least, std::vector<uint8_t> &marks) {
        double low = 0, high = 1;
        for (int i = 0; i < 20; i++) {
            double price = (low + high) / 2;
            (choose(price, marks) < least ? low : high) = price;
        }
        choose(high, marks);
    }

  private:
    struct Way {
        double bits, saved;
    };

    // Instructions saved.
    double choose(double price, std::vector<uint8_t> &marks) {
        Way best[2] = {{0, 0}, {1e9, 0}};
        auto total = [price](const Way &w) { return w.bits - price * w.saved; };
        auto switched = [](const Way &w) { return Way{w.bits + switch_bits, w.saved - switch_work}; };
        for (uint32_t i = from; i < to; i++) {
            Way was[2] = {best[0], best[1]};
            for (uint32_t k = 0; k < 2; k++) {
                Way other = switched(was[1 - k]);
                bool better = !inside[i] && total(other) < total(was[k]);
                came[(i - from) * 2 + k] = better ? 1 - k : k;
                best[k] = better ? other : was[k];
            }
            if (costs.bytes[i] > 0) {
                best[1].bits += byte_bits - costs.bytes[i];
                best[1].saved += tree_work - byte_work;
            }
        }
        uint8_t state = total(switched(best[1])) < total(best[0]);
        double saved = state ? best[1].saved - switch_work : best[0].saved;
        for (uint32_t i = to; i-- > from;) {
            marks[i] = state;
            state = came[(i - from) * 2 + state];
        }
        return saved;
    }

    const Costs &costs;
    const std::vector<uint8_t> &inside;
    uint32_t from, to;
    std::vector<uint8_t> came;
};

double work_of(const Costs &costs, uint32_t from, uint32_t to) {
    double sum = 0;
    for (uint32_t i = from; i < to; i++) {
        sum += costs.work[i];
    }
    return sum;
}

} // namespace

std::vector<uint32_t> switches_for_time(const Job &job, const std::vector<Copy> &copies) {
    uint32_t n = (uint32_t)job.new_image.size(), sectors = (n + sector_size - 1) / sector_size;
    auto end_of = [n](uint32_t sector) { return std::min(n, (sector + 1) * sector_size); };
    std::vector<uint8_t> inside(n), marks(n);
    for (const Copy &c : copies) {
        std::fill(inside.begin() + c.to + 1, inside.begin() + c.to + c.size, 1);
    }
    Costs costs, now;
    std::vector<uint32_t> r;
    encode(job, copies, r, &costs);
    now = costs;
    std::vector<double> saved(sectors);
    // What one sector codes otherwise changes what the others cost: a sector that is still above has to save more.
    for (int i = 0; i < rounds; i++) {
        bool fits = true;
        for (uint32_t k = 0; k < sectors; k++) {
            double over = work_of(now, k * sector_size, end_of(k)) - budget;
            if (over > 0) {
                fits = false;
                saved[k] += over;
                Sector(costs, inside, k * sector_size, end_of(k)).mark(saved[k], marks);
            }
        }
        if (fits) {
            break;
        }
        r.clear();
        for (uint32_t at = 0; at < n; at++) {
            if (marks[at] != (at ? marks[at - 1] : 0)) {
                r.push_back(at);
            }
        }
        encode(job, copies, r, &now);
    }
    return r;
}
