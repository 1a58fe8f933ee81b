// The board of the power-cut campaign: a flash chip, a second boot and the tree of cuts. Built as a library of its own,
// so that a second boot with a fault seeded in it can be put in its place.
// SPDX-License-Identifier: MIT
#ifndef SIM_H
#define SIM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum sim_result { SIM_OK = 0, SIM_FAILED = 1, SIM_CUT = 2 };
enum sim_phase {
    SIM_BEGIN, SIM_FETCH, SIM_INSTALL, SIM_PROGRESS, SIM_COMMIT, SIM_TRIAL, SIM_CONFIRM, SIM_REJECT, SIM_REPORT, SIM_CONSOLE, SIM_PHASES
};
#define SIM_SHAPES 16u
#define SIM_SHAPE_FAIL 15u // no cut: the operation stops half-way and reports an error
#define SIM_MAX_CUTS 64u

// A part: sector, block (the larger erase, or 0) and program command in bytes; a guarded unit of ECC or CRC, and whether
// trailers are outside it.
struct sim_part {
    uint32_t sector, block, command, guarded_unit, raw_trailers, slot_bytes;
};

struct sim_cut {
    uint32_t operation, shape, seed;
};

// What to explore. Operations count from 1 and go on from cut to cut.
struct sim_plan {
    uint32_t from, to;   // the first cut falls into [from, to); none if from is 0
    uint32_t every;      // of the operations on an artifact's data one in so many; other operations always
    uint32_t seeds;      // how often each shape is tried on marks and erases; 0: one shape only, chosen by salt
    uint32_t pairs;      // second cuts: 0 none, else one in so many operations, of one shape each
    uint32_t salt;
    uint32_t random;     // soak: one operation in so many is cut; 0: none
    uint32_t cut_count;  // replay these cuts instead
    struct sim_cut cuts[SIM_MAX_CUTS];
};

struct sim_choice {
    uint32_t how, slot, trial, offset, payload_size;
};

struct sim_stats {
    uint64_t lives, failures, states;
    uint64_t cuts[SIM_PHASES][2][SIM_SHAPES]; // [phase][erase][shape]
};

struct sim_trust {
    const uint8_t *key;
    uint32_t key_size;
    const uint8_t *vendor_id, *class_id;
};

struct sim_api {
    void (*setup)(const struct sim_part *part, const struct sim_trust *trust);
    void (*plan)(const struct sim_plan *plan);
    uint8_t *(*cells)(bool before, uint32_t *size); // as they are, or as they were before the last cut
    const char *(*cut_words)(void);                 // the last cut
    int (*read)(uint32_t offset, void *buf, uint32_t n);
    int (*write)(uint32_t offset, const void *buf, uint32_t n);
    int (*erase)(uint32_t offset, uint32_t n);
    // Power on: the second boot from its first instruction. `console` is what a person sends by YMODEM, or NULL.
    int (*boot)(bool suspicious, const uint8_t *console, uint32_t n, struct sim_choice *choice);
    bool (*matches)(uint32_t offset, const uint8_t *bytes, uint32_t n);
    void (*patch_area)(uint32_t offset); // what lies in a slot below it is made by install; 0: no patch
    void (*fault)(uint32_t what, uint32_t a, uint32_t b);
    // Where the life is: operations so far, what the running slot suffered, and the cuts as text.
    uint32_t (*operations)(void);
    const char *(*misdeed)(void);
    uint32_t (*path)(char *text, uint32_t size);
    uint32_t (*cut_phases)(void); // a bit for each phase that was cut in this life
    bool (*spawn)(const char *name); // forks: true in the child, after its end false in the parent
    void (*end)(bool good);       // ends a forked life; returns in the first one
    const struct sim_stats *(*stats)(void);
    int (*save_states)(const char *path);
};

extern const struct sim_api sim_api;

enum sim_fault { SIM_FAULT_UNWRITABLE = 1, SIM_FAULT_ENDURANCE = 2, SIM_FAULT_ROT = 3 };

#endif
