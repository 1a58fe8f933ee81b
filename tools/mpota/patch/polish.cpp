// Copies changed a little, one after the other, as long as that makes the patch smaller: what the cost model cannot know.
// SPDX-License-Identifier: MIT
#include "encoder.h"

#include <cstddef>

namespace {

// A change around the copy at index i; false if it cannot be made.
using Change = bool (*)(std::vector<Copy> &copies, size_t i, uint32_t limit);

bool move_end(std::vector<Copy> &copies, size_t i, int by, uint32_t limit) {
    uint32_t end = i + 1 < copies.size() ? copies[i + 1].to : limit;
    int64_t size = (int64_t)copies[i].size + by;
    if (size < 1 || copies[i].to + size > end) {
        return false;
    }
    copies[i].size = (uint32_t)size;
    return true;
}

bool move_start(std::vector<Copy> &copies, size_t i, int by) {
    Copy &c = copies[i];
    uint32_t before = i ? copies[i - 1].to + copies[i - 1].size : 0;
    if ((int64_t)c.to + by < before || (int64_t)c.from + by < 0 || (int64_t)c.size - by < 1) {
        return false;
    }
    c.to += (uint32_t)by;
    c.from += (uint32_t)by;
    c.size -= (uint32_t)by;
    return true;
}

bool remove(std::vector<Copy> &copies, size_t i, uint32_t) {
    copies.erase(copies.begin() + (ptrdiff_t)i);
    return true;
}

// The copy goes on to where the next one ends.
bool swallow_next(std::vector<Copy> &copies, size_t i, uint32_t) {
    if (i + 1 >= copies.size() || copies[i + 1].size > 64) {
        return false;
    }
    copies[i].size = copies[i + 1].to + copies[i + 1].size - copies[i].to;
    copies.erase(copies.begin() + (ptrdiff_t)i + 1);
    return true;
}

// The copy begins where the one before it did.
bool swallow_last(std::vector<Copy> &copies, size_t i, uint32_t) {
    if (!i || copies[i - 1].size > 64) {
        return false;
    }
    uint32_t more = copies[i].to - copies[i - 1].to;
    if (copies[i].from < more) {
        return false;
    }
    copies[i] = {copies[i - 1].to, copies[i].from - more, copies[i].size + more};
    copies.erase(copies.begin() + (ptrdiff_t)i - 1);
    return true;
}

template <int by> bool end_by(std::vector<Copy> &copies, size_t i, uint32_t limit) {
    return move_end(copies, i, by, limit);
}

template <int by> bool start_by(std::vector<Copy> &copies, size_t i, uint32_t) {
    return move_start(copies, i, by);
}

// Where one copy meets the next, both move.
template <int by> bool border_by(std::vector<Copy> &copies, size_t i, uint32_t limit) {
    if (i + 1 >= copies.size()) {
        return false;
    }
    return by > 0 ? move_start(copies, i + 1, by) && move_end(copies, i, by, limit) : move_end(copies, i, by, limit) && move_start(copies, i + 1, by);
}

const Change changes[] = {remove,      swallow_next, swallow_last, end_by<-1>, end_by<1>,     start_by<1>,  start_by<-1>, border_by<1>,
                          border_by<-1>, end_by<-2>, end_by<2>,    start_by<2>, start_by<-2>, border_by<2>, border_by<-2>, border_by<4>, border_by<-4>};

} // namespace

std::vector<Copy> polish(const Job &job, const Plan &plan, uint64_t decisions) {
    std::vector<Copy> copies = plan.copies;
    uint32_t limit = (uint32_t)job.new_image.size();
    Costs costs;
    encode(job, plan, &costs);
    double least = costs.all_bits;
    uint64_t tries = decisions / (costs.decisions + 1);
    for (Change change : changes) {
        for (size_t i = copies.size(); i-- && tries;) {
            std::vector<Copy> other = copies;
            if (i >= other.size() || !change(other, i, limit)) {
                continue;
            }
            tries--;
            if (!encode(job, {other, plan.repeats, {}}, &costs).empty() && costs.all_bits < least) {
                least = costs.all_bits;
                copies = other;
            }
        }
    }
    return copies;
}
