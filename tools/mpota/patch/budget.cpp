// Where new bytes go into the patch verbatim: where that is shorter, and where decoding a sector would otherwise take too long; there
// copies that mostly miss give way to new bytes, too.
// SPDX-License-Identifier: MIT
#include "encoder.h"

#include <algorithm>

namespace {

const uint32_t sector_size = 4096;
const double budget = 970000, slack = 6000; // instructions for a sector by the estimate, so that it stays below a million
const int rounds = 6; // of correction by what a sector is above the budget, and as many more for those above the slack
const double harder = 0.85; // of what those may take, each time
const uint32_t worth_repeating = 3; // bytes of a repeat that are left, unless it always was shorter and is from as far back as the last
const uint32_t worth_splitting = 128; // bytes of a copy that are left: it starts anew, since a switch waits for its end

// How the bytes of a stretch are made: as without a budget; with verbatim literals and substitutions; as verbatim literals alone.
enum { as_is, verbatim, literals, ways };

struct Price {
    double bits, work;
};

const Price switched = {9, 250}, copy_left = {10, 500}, copy_resumed = {8, 700}, free_of_charge = {0, 0};

Price operator+(const Price &a, const Price &b) {
    return {a.bits + b.bits, a.work + b.work};
}

// The cheapest way through one sector if an instruction costs so many bits.
class Sector {
  public:
    Sector(const Costs &c, const Work &w, const Bytes &inside_copy, const Bytes &in_copy, const Bytes &in_repeat, uint32_t first, uint32_t end)
        : costs(c), verbatim_byte{8, w.verbatim}, verbatim_literal{8.1, w.verbatim + (w.decision + w.literals) / PATCH_STEP_OUT},
          inside(inside_copy), covered(in_copy), repeated(in_repeat), from(first), to(end), came((end - first) * ways) {}

    // Few bits with at most this work. way[i] becomes how byte i is made.
    void choose(double most, std::vector<uint8_t> &way) {
        double low = 0, high = 1;
        for (int i = 0; i < 14; i++) {
            double price = (low + high) / 2;
            (choose_at(price, way) > most ? low : high) = price;
        }
        choose_at(high, way);
        std::vector<uint8_t> thrifty(way.begin() + from, way.begin() + to);
        choose_at(low, way);
        join(most, thrifty, way);
    }

    // The fewest bits.
    void choose_shortest(std::vector<uint8_t> &way) { choose_at(0, way); }

  private:
    // From one way to another, inside a copy or not.
    static Price change(bool inside_copy, uint8_t before, uint8_t after) {
        Price p = (before == as_is) != (after == as_is) ? switched : free_of_charge;
        if (before == after || !inside_copy) {
            return p;
        }
        return p + (after == literals ? copy_left : before == literals ? copy_resumed : copy_left + copy_resumed);
    }

    Price of(uint32_t i, uint8_t way) const {
        Price now = {costs.bits[i], costs.work[i]};
        if (way == literals && covered[i]) {
            return verbatim_literal + Price{now.bits, 0}; // a miss teaches: its bits are saved again later
        }
        if (way == literals && repeated[i]) {
            return verbatim_literal;
        }
        bool made_new = way != as_is && costs.bytes[i] > 0;
        return made_new ? now + verbatim_byte + Price{-costs.bytes[i], -costs.byte_work[i]} : now;
    }

    double work_of_way(const std::vector<uint8_t> &way) const {
        double work = 0;
        uint8_t before = as_is;
        for (uint32_t i = from; i < to; i++) {
            work += (change(inside[i], before, way[i]) + of(i, way[i])).work;
            before = way[i];
        }
        return work;
    }

    // Bytes that are alike all change their way at one price: the first ones keep the way that takes too long, as far as there is time.
    void join(double most, const std::vector<uint8_t> &thrifty, std::vector<uint8_t> &way) const {
        const std::vector<uint8_t> slow(way.begin() + from, way.begin() + to);
        auto split_at = [&](uint32_t n) {
            std::copy(slow.begin(), slow.begin() + n, way.begin() + from);
            std::copy(thrifty.begin() + n, thrifty.end(), way.begin() + from + n);
        };
        uint32_t fits = 0, too_long = to - from;
        while (too_long - fits > 1) {
            uint32_t n = (fits + too_long) / 2;
            split_at(n);
            (work_of_way(way) > most ? too_long : fits) = n;
        }
        split_at(fits);
    }

    double choose_at(double price, std::vector<uint8_t> &way) {
        const double never = 1e9;
        auto total = [price](const Price &p) { return p.bits + price * p.work; };
        double changes[2][ways][ways], best[ways] = {0, never, never};
        for (uint8_t before = 0; before < ways; before++) {
            for (uint8_t after = 0; after < ways; after++) {
                changes[0][before][after] = total(change(false, before, after));
                changes[1][before][after] = total(change(true, before, after));
            }
        }
        for (uint32_t i = from; i < to; i++) {
            const double was[ways] = {best[0], best[1], best[2]};
            for (uint8_t k = 0; k < ways; k++) {
                uint8_t source = k;
                best[k] = was[k];
                for (uint8_t j = 0; j < ways; j++) {
                    double through = was[j] + changes[inside[i]][j][k];
                    if (through < best[k]) {
                        best[k] = through;
                        source = j;
                    }
                }
                came[(i - from) * ways + k] = source;
                best[k] += total(of(i, k));
            }
        }
        best[as_is] -= total(switched); // the others have to switch back
        uint8_t last = (uint8_t)(std::min_element(best, best + ways) - best);
        for (uint32_t i = to; i-- > from;) {
            way[i] = last;
            last = came[(i - from) * ways + last];
        }
        return work_of_way(way);
    }

    const Costs &costs;
    const Price verbatim_byte, verbatim_literal;
    const Bytes &inside, &covered, &repeated;
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

// The plan without the copies and repeats that give way, and with the switches. What is split off behind the old image's end could not start a copy.
Plan follow(uint32_t old_size, const Plan &plan, const std::vector<uint8_t> &way) {
    Plan r;
    for (const Repeat &p : plan.repeats) {
        for (uint32_t at = p.to, end; at < p.to + p.size; at = end) {
            for (end = at + 1; end < p.to + p.size && (way[end] == literals) == (way[at] == literals);) {
                end++;
            }
            bool again = !r.repeats.empty() && r.repeats.back().distance == p.distance;
            if (way[at] != literals && end - at >= (again ? std::min(p.size, worth_repeating) : worth_repeating)) {
                r.repeats.push_back({at, p.distance, end - at});
            }
        }
    }
    for (uint32_t at = 0; at < way.size(); at++) {
        if ((way[at] == as_is) != (!at || way[at - 1] == as_is)) {
            r.switches.push_back(at);
        }
    }
    for (const Copy &c : plan.copies) {
        uint32_t copy_end = c.to + c.size;
        auto goes_on = [&](uint32_t at) {
            return way[at] == way[at - 1] || (way[at] != literals && way[at - 1] != literals && copy_end - at < worth_splitting);
        };
        for (uint32_t at = c.to, end; at < copy_end; at = end) {
            for (end = at + 1; end < copy_end && goes_on(end);) {
                end++;
            }
            if (way[at] != literals && c.from + (at - c.to) <= old_size) {
                r.copies.push_back({at, c.from + (at - c.to), end - at});
            }
        }
    }
    return r;
}

// What a repeat takes, over all its bytes: any of them may give way.
void spread(Costs &costs, const std::vector<Repeat> &repeats) {
    for (const Repeat &r : repeats) {
        float bits = 0, work = 0;
        for (uint32_t i = r.to; i < r.to + r.size; i++) {
            bits += costs.bits[i];
            work += costs.work[i];
        }
        std::fill_n(costs.bits.begin() + r.to, r.size, bits / (float)r.size);
        std::fill_n(costs.work.begin() + r.to, r.size, work / (float)r.size);
    }
}

} // namespace

Plan within_budget(const Job &job, const Plan &given) {
    uint32_t n = (uint32_t)job.new_image.size(), sectors = (n + sector_size - 1) / sector_size;
    auto end_of = [n](uint32_t sector) { return std::min(n, (sector + 1) * sector_size); };
    Bytes inside(n), covered(n), repeated(n), way(n);
    for (const Copy &c : given.copies) {
        std::fill(inside.begin() + c.to + 1, inside.begin() + c.to + c.size, 1);
        std::fill(covered.begin() + c.to, covered.begin() + c.to + c.size, 1);
    }
    for (const Repeat &r : given.repeats) {
        std::fill_n(repeated.begin() + r.to, r.size, 1);
    }
    Plan plan = given;
    Costs alone, now;
    size_t size = encode(job, plan, &alone).size();
    spread(alone, given.repeats);
    for (uint32_t k = 0; k < sectors; k++) {
        Sector(alone, work_on(job.info.arch), inside, covered, repeated, k * sector_size, end_of(k)).choose_shortest(way);
    }
    Plan shortest = follow(job.info.old_size, given, way);
    size_t shorter = encode(job, shortest, &now).size();
    if (shorter && shorter < size) {
        plan = shortest;
    } else {
        std::fill(way.begin(), way.end(), as_is);
        now = alone;
    }
    if (job.info.arch == OTA_PATCH_X86_64) { // computers need no budget, and its steps of one byte would break any
        return plan;
    }
    std::vector<double> most(sectors);
    for (uint32_t k = 0; k < sectors; k++) {
        most[k] = work_of(now, k * sector_size, end_of(k));
    }
    // What one sector codes otherwise changes what the others cost: one that is still above gets less.
    for (int i = 0; i < 2 * rounds; i++) {
        bool fits = true;
        for (uint32_t k = 0; k < sectors; k++) {
            double over = work_of(now, k * sector_size, end_of(k)) - budget;
            if (over > (i < rounds ? 0 : slack)) {
                fits = false;
                most[k] = i < rounds ? most[k] - over : most[k] * harder;
                Sector(alone, work_on(job.info.arch), inside, covered, repeated, k * sector_size, end_of(k)).choose(most[k], way);
            }
        }
        if (fits) {
            break;
        }
        plan = follow(job.info.old_size, given, way);
        encode(job, plan, &now);
    }
    return plan;
}
