// The parts of the patch encoder. The model is the decoder's own source, compiled with a coder that encodes.
// SPDX-License-Identifier: MIT
#ifndef MPOTA_PATCH_ENCODER_H
#define MPOTA_PATCH_ENCODER_H

#include <cstdint>
#include <vector>

extern "C" {
#include "patch_coder.h"
}

using Bytes = std::vector<uint8_t>;

struct Copy {
    uint32_t to, from, size;
};

// New bytes that are those `distance` before.
struct Repeat {
    uint32_t to, distance, size;
};

// What every part needs to know of the job.
struct Job {
    Bytes old_image, new_image;
    ota_patch_info info;
};

// Where an image holds addresses, by the decoder's own rules.
struct Sites {
    std::vector<uint8_t> type, size; // PATCH_NO_SITE where none starts
    std::vector<uint32_t> target;
};

// A diagonal (new offset less old offset) on which the images roughly agree from `at` to `end`.
struct Seed {
    uint32_t at, end;
    int32_t diagonal;
    uint32_t weight; // how well they agree
};

// analyse.cpp
std::vector<uint8_t> guess_archs(const Bytes &image); // the likeliest first; none: plain bytes
void guess_windows(const Bytes &image, ota_patch_info &info);
Sites find_sites(const Bytes &image, const ota_patch_info &info);
Bytes without_addresses(const Bytes &image, const Sites &sites);

// seeds.cpp: in the order of where they begin
std::vector<Seed> find_seeds(const Job &job, const Sites &old_sites, const Sites &new_sites);

// repeats.cpp: repeats of new bytes where no copy makes them
class Repeats {
  public:
    explicit Repeats(const Bytes &image);
    std::vector<Repeat> find(const std::vector<Copy> &copies) const;
    std::vector<Repeat> find_roughly(const std::vector<Copy> &copies) const; // by guessed prices: they suit few repeats better
    std::vector<float> costs() const; // bits of each new byte, were there no copies

  private:
    struct Match {
        uint32_t distance : 24, size : 8; // images have 16 MiB at most
    };
    struct Prices;
    struct Way;
    static Prices guess();
    Prices learn(const std::vector<Copy> &copies, const std::vector<Repeat> &repeats) const;
    std::vector<Way> ways(uint32_t from, uint32_t to, uint32_t last, const Prices &price) const;
    std::vector<Repeat> between(uint32_t from, uint32_t to, uint32_t last, const Prices &price) const;
    std::vector<Repeat> around(const std::vector<Copy> &copies, const Prices &price) const;

    const Bytes &image;
    std::vector<uint32_t> first; // match of each offset, and one more
    std::vector<Match> matches;
};

const float literal_bits = 6; // what a new byte is reckoned to take

// choose.cpp: the cheapest copies under a model of the code's cost that is refined by what encoding them cost
class Chooser {
  public:
    Chooser(const Job &job, const Sites &old_sites, const Sites &new_sites, const std::vector<Seed> &seeds);
    std::vector<Copy> choose(const std::vector<float> &literal); // what new bytes that no copy makes take
    void learn(const std::vector<Copy> &copies, const std::vector<float> &cost);
    uint64_t followed = 0; // diagonals for so many bytes

  private:
    struct Path;
    struct Run;
    double site_cost(Path &path, uint32_t from, uint32_t to) const;
    double step_cost(Path &path, uint32_t from, uint32_t to) const;
    int32_t region(uint32_t address) const;
    void begin(Run &run, uint32_t at, const Seed &seed) const;
    double start_cost(const Run &run, uint32_t at, int32_t diagonal) const;
    void leave(Run &run, uint32_t at, const std::vector<float> &literal) const;
    void advance(Run &run, uint32_t at);
    void learn_displacements(const std::vector<Copy> &copies);

    const Job &job;
    const Sites &old_sites, &new_sites;
    const std::vector<Seed> &seeds;
    ota_patch_info fine; // regions as this cost model knows them
    std::vector<std::vector<int32_t>> known;
    std::vector<float> substitution;
    bool learned = false;
};

// What a patch costs, by the new byte that is made or begun.
struct Costs {
    std::vector<float> bits;
    std::vector<float> bytes;       // of them, those of literals and substituted bytes
    std::vector<float> substituted; // and those of the latter alone
    std::vector<float> work;        // instructions of the decoder
    std::vector<float> byte_work;   // of them, those of literals and substituted bytes
    double all_bits = 0;
    uint64_t decisions = 0;
};

// Instructions of each part of a step, fitted to what real pairs and extreme ones take the chip that an architecture is for: `learning` is what a
// node takes more while it learns, `begin` what first values, flags that learn and searches in tables that are still empty take.
struct Work {
    double decision, bit, learning, verbatim, literals, start, copy, single, changed, again, otherwise, site, alternative, repeat, repeat_start, begin;
};
const Work &work_on(uint8_t arch);

// What an encoder is to say. New bytes are verbatim from every other switch on.
struct Plan {
    std::vector<Copy> copies;
    std::vector<Repeat> repeats;
    std::vector<uint32_t> switches;
};

// emit.cpp: the state that a decoder needs, in whole units of the header's field
uint32_t state_size(const ota_patch_info &info);

Bytes encode(const Job &job, const Plan &plan, Costs *costs = nullptr);

// polish.cpp
std::vector<Copy> polish(const Job &job, const Plan &plan, uint64_t decisions);

// budget.cpp: the copies as far as no sector takes the decoder too long, and the switches
Plan within_budget(const Job &job, const Plan &plan);

#endif
