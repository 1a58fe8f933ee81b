// Flash, second boot and the tree of cuts (sim.h).
// SPDX-License-Identifier: MIT
#define _GNU_SOURCE
#include "sim.h"

#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "boot.h"
#include "norchip.h"
#include "second_boot.h"
#include "simboot.h"

#define MAX_STATES (1u << 24)
#define FILLS_EVERY 16u
#define LIFE_SECONDS 60u // a life takes milliseconds; who needs longer hangs

struct shared {
    struct sim_stats stats;
    uint64_t states[MAX_STATES];
};

static struct norchip chip;
static struct ota_io io; // the chip's
static uint32_t slot_bytes, running = OTA_BOOT_SLOTS, patch_from;
static struct sim_plan plan;
static struct sim_cut path[SIM_MAX_CUTS];
static uint32_t path_count, cut_phases, random_state;
static bool is_child, only_first; // only_first: the first failure is enough
static enum sim_phase phase;
static const char *misdeed;
static struct shared *shared;
static uint8_t *before;     // what the flash held before the last cut
static char cut_words[160]; // and what was going on

static uint32_t mix(uint32_t a, uint32_t b) {
    uint64_t x = ((uint64_t)a << 32 | b) * 0x9e3779b97f4a7c15u;
    x ^= x >> 29;
    x *= 0xbf58476d1ce4e5b9u;
    return (uint32_t)(x >> 32);
}

// 64 bits of what the flash holds.
static uint64_t hash_cells(void) {
    uint64_t h = 0xcbf29ce484222325u;
    for (uint32_t at = 0; at < chip.nor.size; at += 8) {
        uint64_t word;
        memcpy(&word, chip.cells + at, 8);
        h = (h ^ word) * 0x9fb21c651e98df25u;
        h ^= h >> 32;
    }
    return h;
}

static void record_cut(bool erase, uint32_t shape) {
    cut_phases |= 1u << phase;
    shared->stats.cuts[phase][erase][shape]++;
    if (shared->stats.states < MAX_STATES) {
        shared->states[shared->stats.states++] = hash_cells();
    }
}

static const char *const phase_words[SIM_PHASES] = {
    "begin", "fetch", "install", "progress", "commit", "trial", "confirm", "reject", "report", "console",
};
static const char *const program_words[] = {
    "nothing was programmed", "the first bytes were programmed", "some of the bits were programmed",
    "all was programmed", "the bits read differently from time to time",
};
static const char *const erase_words[] = {
    "nothing was erased", "half of the ones became zeros", "all is zero", "noise", "reads as erased",
    "reads as erased from time to time", "erased in parts", "a few more zeros", "a few zeros left",
};

static void describe(bool erase, uint32_t offset, uint32_t n) {
    const struct sim_cut *cut = &path[path_count - 1];
    const char *how = cut->shape == SIM_SHAPE_FAIL ? "it failed half-way" : erase ? erase_words[cut->shape] : program_words[cut->shape];
    // The prover brings its own snprintf: plain conversions only.
    snprintf(cut_words, sizeof(cut_words), "operation %u, %s of %u bytes at 0x%x of slot %c (%s): %s", cut->operation,
        erase ? "erase" : "program", n, offset % slot_bytes, "AB"[offset / slot_bytes], phase_words[phase], how);
    memcpy(before, chip.cells, chip.nor.size);
}

// The tree

static bool armed; // a cut is due in the operation that is under way
static bool fills; // which programs nothing but ones, as the rest of a sector

static void arm(uint32_t shape, uint32_t seed) {
    const uint32_t operation = chip.nor.operations + 1;
    if (path_count < SIM_MAX_CUTS) {
        path[path_count++] = (struct sim_cut){operation, shape, seed};
    }
    chip.nor.cut_seed = seed;
    if (shape == SIM_SHAPE_FAIL) {
        chip.nor.fail_at = operation;
        chip.nor.cut_kind = seed;
    } else {
        chip.nor.cut_at = operation;
        chip.nor.cut_kind = shape;
    }
    armed = true;
}

// A fork of this life: true in the child. The parent waits for its end; `text` names the child if it crashes.
static bool spawn(const char *text) {
    int status = 0;
    alarm(0);
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        is_child = true;
        alarm(LIFE_SECONDS);
        return true;
    }
    if (pid < 0 || waitpid(pid, &status, 0) != pid || !WIFEXITED(status) || WEXITSTATUS(status) > 1) {
        shared->stats.lives++;
        shared->stats.failures++;
        printf("FAIL %s the life crashed or hung (status %d)\n", text, status);
    }
    if (is_child) {
        alarm(LIFE_SECONDS);
    }
    return false;
}

// One branch: true in the child, whose life goes on with this cut.
static bool branch(uint32_t shape, uint32_t seed) {
    char text[2048];
    arm(shape, seed);
    sim_api.path(text, sizeof(text));
    if (spawn(text)) {
        return true;
    }
    path_count--;
    chip.nor.cut_at = chip.nor.fail_at = 0;
    armed = false;
    return false;
}

static bool is_data(void) {
    return phase == SIM_FETCH || phase == SIM_INSTALL || phase == SIM_CONSOLE;
}

static bool all_ones(const uint8_t *in, uint32_t n) {
    while (n > 0 && *in == 0xff) {
        in++;
        n--;
    }
    return n == 0;
}

// Of pairs, those with a program that changes no cell are many and tell little.
static bool is_sampled(uint32_t operation) {
    const uint32_t every = plan.pairs > 0 && fills ? plan.every * FILLS_EVERY : plan.every;
    return every <= 1 || !is_data() || mix(operation, plan.salt) % every == 0;
}

static bool is_enough(void) {
    return only_first && shared->stats.failures > 0;
}

// A second cut, inside the recovery from the first.
static void explore_second(bool erase, uint32_t operation) {
    const uint32_t shapes = erase ? NOR_ERASE_CUTS : NOR_PROGRAM_CUTS;
    const uint32_t r = mix(operation, plan.salt ^ path[0].operation << 8 ^ path[0].shape ^ path[0].seed << 24);
    if (plan.pairs > 0 && path_count == 1 && r % plan.pairs == 0 && is_sampled(operation)) {
        (void)branch(r / plan.pairs % shapes, r >> 8);
    }
}

// Every shape. What a cut leaves of a data program differs by its bits only; marks and erases are worth more seeds.
static void explore_shapes(bool erase, uint32_t operation) {
    const uint32_t shapes = erase ? NOR_ERASE_CUTS : NOR_PROGRAM_CUTS;
    const uint32_t seeds = erase || !is_data() ? plan.seeds : 1;
    for (uint32_t seed = 0; seed < seeds; seed++) {
        for (uint32_t shape = 0; shape < shapes; shape++) {
            bool same_always = erase ? shape == NOR_ERASE_ZEROED : shape == NOR_PROGRAM_ALL;
            if ((seed == 0 || !same_always) && !is_enough() && branch(shape, mix(operation, plan.salt + seed) | 1)) {
                return;
            }
        }
        if (branch(SIM_SHAPE_FAIL, mix(operation, plan.salt + seed + 1000) | 1)) {
            return;
        }
    }
}

static void explore(bool erase, uint32_t operation) {
    if (is_enough()) {
        return;
    }
    if (path_count > 0) {
        explore_second(erase, operation);
    } else if (operation >= plan.from && operation < plan.to && is_sampled(operation)) {
        if (plan.seeds > 0) {
            explore_shapes(erase, operation);
        } else {
            const uint32_t r = mix(operation, plan.salt);
            (void)branch(r % (erase ? NOR_ERASE_CUTS : NOR_PROGRAM_CUTS), r >> 8);
        }
    }
}

static void soak(bool erase) {
    random_state = mix(random_state, chip.nor.operations);
    if (random_state % plan.random == 0) {
        uint32_t r = mix(random_state, 1);
        arm(r % 8 == 0 ? SIM_SHAPE_FAIL : r / 8 % (erase ? NOR_ERASE_CUTS : NOR_PROGRAM_CUTS), r);
    }
}

static void replay(uint32_t operation) {
    if (path_count < plan.cut_count && plan.cuts[path_count].operation == operation) {
        arm(plan.cuts[path_count].shape, plan.cuts[path_count].seed);
    }
}

static uint32_t slot_of(uint32_t offset) {
    return offset / slot_bytes;
}

static bool in_trailer(uint32_t offset) {
    return offset % slot_bytes >= slot_bytes - io.sector;
}

static void watch(struct norchip *c, uint32_t offset, const uint8_t *in, uint32_t n) {
    const uint32_t operation = c->nor.operations + 1;
    if (slot_of(offset) == running && (in == NULL || !in_trailer(offset))) {
        misdeed = in == NULL ? "erased a sector of the running slot" : "programmed the running slot's image";
    }
    armed = false;
    fills = in != NULL && all_ones(in, n);
    if (plan.cut_count > 0) {
        replay(operation);
    } else if (plan.random > 0) {
        soak(in == NULL);
    } else if (plan.from > 0) {
        explore(in == NULL, operation);
    }
    if (armed) { // hashed when it has happened; counted now, while the operation is known
        record_cut(in == NULL, path[path_count - 1].shape);
        describe(in == NULL, offset, n);
    }
}

// The flash, as the device sees it

static enum sim_phase phase_of_mark(uint8_t kind) {
    switch (kind) {
        case OTA_MARK_PROGRESS:
            return SIM_PROGRESS;
        case OTA_MARK_COMPLETE:
            return SIM_COMMIT;
        case OTA_MARK_TRIED:
            return SIM_TRIAL;
        case OTA_MARK_CONFIRMED:
            return SIM_CONFIRM;
        case OTA_MARK_REJECTED:
            return SIM_REJECT;
        case OTA_MARK_REPORTED:
            return SIM_REPORT;
        default:
            return SIM_BEGIN; // started, and the zeros before an erase
    }
}

static enum sim_phase phase_of_data(uint32_t offset) {
    if (running == OTA_BOOT_SLOTS) { // only a person makes the second boot write an image
        return SIM_CONSOLE;
    }
    return offset % slot_bytes < patch_from ? SIM_INSTALL : SIM_FETCH;
}

// The state that counts is the one after the cut.
static int finish(int r) {
    if (armed && shared->stats.states > 0) {
        shared->states[shared->stats.states - 1] = hash_cells();
        armed = false;
    }
    return chip.off ? SIM_CUT : r == OTA_OK ? SIM_OK : SIM_FAILED;
}

static int sim_read(uint32_t offset, void *buf, uint32_t n) {
    return finish(io.read(io.ctx, offset, buf, n));
}

static int sim_write(uint32_t offset, const void *buf, uint32_t n) {
    phase = in_trailer(offset) ? phase_of_mark(*(const uint8_t *)buf) : phase_of_data(offset);
    return finish(io.write(io.ctx, offset, buf, n));
}

static int sim_erase(uint32_t offset, uint32_t n) {
    phase = in_trailer(offset) ? SIM_BEGIN : phase_of_data(offset);
    return finish(io.erase(io.ctx, offset, n));
}

// The second boot

enum leave { LEAVE_CUT = 1, LEAVE_STARTED, LEAVE_RESTART, LEAVE_STUCK };

static jmp_buf out;
static struct sim_choice chosen;
static bool suspicious;
static const uint8_t *sent;     // what a person sends
static uint32_t sent_bytes, stream_at, silence;

static int boot_result(int r) {
    if (r == SIM_CUT) {
        longjmp(out, LEAVE_CUT);
    }
    return r == SIM_OK ? OTA_OK : OTA_E_FLASH;
}

static int boot_read(void *ctx, uint32_t offset, void *buf, uint32_t n) {
    (void)ctx;
    return boot_result(sim_read(offset, buf, n));
}

static int boot_write(void *ctx, uint32_t offset, const void *buf, uint32_t n) {
    (void)ctx;
    return boot_result(sim_write(offset, buf, n));
}

static int boot_erase(void *ctx, uint32_t offset, uint32_t n) {
    (void)ctx;
    return boot_result(sim_erase(offset, n));
}

static void boot_feed(void *ctx) {
    (void)ctx;
}

bool second_boot_suspicious(void) {
    return suspicious;
}

void second_boot_put(uint8_t c) {
    (void)c;
}

void second_boot_restart(void) {
    longjmp(out, LEAVE_RESTART);
}

bool second_boot_can_start(const struct ota_boot_choice *choice) {
    (void)choice;
    return true;
}

void second_boot_start(const struct ota_boot_choice *choice, uint32_t slot_offset) {
    (void)slot_offset;
    chosen = (struct sim_choice){choice->how, choice->slot, choice->trial, choice->offset, choice->payload_size};
    longjmp(out, LEAVE_STARTED);
}

// A YMODEM sender that answers nothing: key, name, blocks of 1 KiB, end, empty name.
#define BLOCK 1024u
#define PACKET (BLOCK + 5)

static uint16_t crc16(const uint8_t *p, uint32_t n) {
    uint32_t crc = 0;
    for (; n > 0; n--) {
        crc ^= (uint32_t)*p++ << 8;
        for (int bit = 0; bit < 8; bit++) {
            crc = crc << 1 ^ (crc & 0x8000 ? 0x1021u : 0);
        }
    }
    return (uint16_t)crc;
}

static uint8_t packet_byte(uint32_t packet, uint32_t blocks, uint32_t at) {
    static uint8_t bytes[PACKET];
    static uint32_t made = UINT32_MAX;
    if (at == 0 || made != packet) {
        const bool is_name = packet == 0 || packet > blocks;
        const uint8_t number = is_name ? 0 : (uint8_t)packet;
        bytes[0] = 2;
        bytes[1] = number;
        bytes[2] = (uint8_t)~number;
        memset(bytes + 3, is_name ? 0 : 0x1a, BLOCK);
        if (packet == 0) {
            memcpy(bytes + 3, "image", 5);
        } else if (!is_name) {
            uint32_t from = (packet - 1) * BLOCK;
            memcpy(bytes + 3, sent + from, sent_bytes - from < BLOCK ? sent_bytes - from : BLOCK);
        }
        const uint16_t crc = crc16(bytes + 3, BLOCK);
        bytes[PACKET - 2] = (uint8_t)(crc >> 8);
        bytes[PACKET - 1] = (uint8_t)crc;
        made = packet;
    }
    return bytes[at];
}

int second_boot_get(uint32_t ms) {
    (void)ms;
    const uint32_t blocks = (sent_bytes + BLOCK - 1) / BLOCK, at = stream_at;
    if (sent == NULL || at > (blocks + 2) * PACKET + 1) {
        if (++silence > 32) { // before the console restarts the chip, which would go on for ever
            longjmp(out, LEAVE_STUCK);
        }
        return -1;
    }
    stream_at++;
    const uint32_t end = 1 + (blocks + 1) * PACKET;
    if (at == 0) {
        return 'w';
    }
    if (at == end) {
        return 4;
    }
    const uint32_t in_stream = at - 1 - (at > end);
    return packet_byte(in_stream / PACKET, blocks, in_stream % PACKET);
}

static int sim_boot(bool suspicion, const uint8_t *console, uint32_t n, struct sim_choice *choice) {
    chip.off = false;
    chip.nor.random = mix(chip.nor.operations, path_count > 0 ? path[path_count - 1].seed : 0); // the same when replayed
    running = OTA_BOOT_SLOTS;
    suspicious = suspicion;
    sent = console;
    sent_bytes = n;
    for (;;) {
        stream_at = silence = 0;
        memset(&chosen, 0, sizeof(chosen));
        switch (setjmp(out)) {
            case 0:
                second_boot_main();
                break;
            case LEAVE_CUT:
                return SIM_CUT;
            case LEAVE_RESTART:
                sent = NULL;
                suspicious = false;
                break;
            case LEAVE_STARTED:
                running = chosen.slot;
                // fall through
            default:
                *choice = chosen;
                return SIM_OK;
        }
    }
}

// The rest

static void setup(const struct sim_part *part, const struct sim_trust *trust) {
    static struct ota_key key;
    const uint32_t size = OTA_BOOT_SLOTS * part->slot_bytes;
    uint8_t *cells = malloc(size);
    memset(cells, 0xff, size);
    before = malloc(size);
    only_first = getenv("MPOTA_ONLY_FIRST") != NULL;
    slot_bytes = part->slot_bytes;
    norchip_init(&chip, cells, size, part->sector);
    norchip_io(&chip, &io);
    chip.command = part->command;
    chip.watch = watch;
    chip.nor.geometry.block = part->block;
    chip.nor.geometry.guarded_unit = part->guarded_unit;
    for (uint32_t i = 0; i < NOR_GUARDED_RANGES; i++) {
        const uint32_t bytes = slot_bytes - (part->raw_trailers ? part->sector : 0);
        chip.nor.geometry.guarded[i] = (struct nor_range){i * slot_bytes, bytes};
    }
    key = (struct ota_key){trust->key, trust->key_size};
    const struct ota_io boot_io = {
        .size = size, .sector = part->sector, .read = boot_read, .write = boot_write, .erase = boot_erase, .feed = boot_feed,
    };
    const struct ota_boot_config config = {
        .slots = {{0, slot_bytes}, {slot_bytes, slot_bytes}},
        .trust = {.keys = &key, .key_count = 1, .vendor_id = trust->vendor_id, .class_id = trust->class_id},
        .tries = 3,
    };
    simboot_set(&boot_io, &config);
    shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (shared == MAP_FAILED) {
        abort();
    }
}

static void set_plan(const struct sim_plan *p) {
    plan = *p;
    random_state = mix(plan.salt, plan.random);
    path_count = 0;
}

static uint8_t *get_cells(bool as_before, uint32_t *size) {
    *size = chip.nor.size;
    return as_before ? before : chip.cells;
}

static const char *get_cut_words(void) {
    return cut_words;
}

static bool matches(uint32_t offset, const uint8_t *bytes, uint32_t n) {
    return memcmp(chip.cells + offset, bytes, n) == 0 && !nor_scarred(&chip.nor, offset, n);
}

static void set_patch_area(uint32_t offset) {
    patch_from = offset;
}

static void fault(uint32_t what, uint32_t a, uint32_t b) {
    switch (what) {
        case SIM_FAULT_UNWRITABLE:
            chip.nor.unwritable = (struct nor_range){a, b};
            break;
        case SIM_FAULT_ENDURANCE:
            chip.nor.endurance = a;
            break;
        default:
            norchip_rot(&chip, a, b);
            break;
    }
}

static uint32_t get_operations(void) {
    return chip.nor.operations;
}

static const char *get_misdeed(void) {
    return misdeed != NULL ? misdeed : chip.misuses > 0 ? "broke the chip's rules" : NULL;
}

static uint32_t get_path(char *text, uint32_t size) {
    uint32_t n = 0;
    text[0] = 0;
    for (uint32_t i = 0; i < path_count && n < size - 40; i++) {
        n += (uint32_t)snprintf(text + n, size - n, "%s%u.%u.%u", i ? "," : "", path[i].operation, path[i].shape, path[i].seed);
    }
    return n;
}

static uint32_t get_cut_phases(void) {
    return cut_phases;
}

static void end(bool good) {
    shared->stats.lives++;
    shared->stats.failures += !good;
    fflush(stdout);
    if (is_child) {
        _exit(good ? 0 : 1);
    }
}

static const struct sim_stats *get_stats(void) {
    return &shared->stats;
}

static int save_states(const char *file) {
    FILE *f = fopen(file, "wb");
    if (f == NULL) {
        return -1;
    }
    size_t n = fwrite(shared->states, 8, shared->stats.states, f);
    return fclose(f) == 0 && n == shared->stats.states ? 0 : -1;
}

const struct sim_api sim_api = {
    .setup = setup, .plan = set_plan, .cells = get_cells, .read = sim_read, .write = sim_write, .erase = sim_erase, .boot = sim_boot,
    .matches = matches, .patch_area = set_patch_area, .fault = fault, .operations = get_operations, .misdeed = get_misdeed,
    .cut_words = get_cut_words, .spawn = spawn, .path = get_path, .cut_phases = get_cut_phases, .end = end, .stats = get_stats, .save_states = save_states,
};
