// What the images are: architecture, load address, windows, and where they hold addresses.
// SPDX-License-Identifier: MIT
#include "encoder.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <map>

namespace {

using State = std::vector<uint32_t>;

patch_state *scan_state(State &memory, ota_patch_info info, uint32_t size) {
    info.old_size = info.new_size = size;
    info.lean = 0;
    memory.assign(state_size(info) / 4, 0);
    auto *s = reinterpret_cast<patch_state *>(memory.data());
    s->info = info;
    patch_layout(s);
    return s;
}

bool starts_function(const uint8_t *b, uint8_t arch) {
    switch (arch) {
    case OTA_PATCH_XTENSA:
        return b[0] == 0x12 && b[1] == 0xc1;
    case OTA_PATCH_THUMB:
        return b[1] == 0xb5 || (b[0] == 0x2d && b[1] == 0xe9);
    case OTA_PATCH_ARM:
        return b[2] == 0x2d && b[3] == 0xe9;
    default:
        return (b[0] == 0xf3 && b[1] == 0x0f && b[2] == 0x1e) || b[0] == 0x55 || b[0] == 0x53 || (b[0] == 0x41 && (b[1] & 0xf8) == 0x50);
    }
}

// How many calls go to what looks like a function, if that is a fair share of all.
uint32_t call_score(const Bytes &image, uint8_t arch) {
    ota_patch_info info = {};
    info.arch = arch;
    info.region_shift = 9;
    uint32_t good = 0, all = 0, n = (uint32_t)image.size();
    Sites sites = find_sites(image, info);
    for (uint32_t i = 0; i + 4 <= n; i++) {
        if (sites.type[i] == PATCH_CALL && sites.target[i] + 4 <= n) {
            all++;
            good += starts_function(&image[sites.target[i]], arch);
        }
    }
    return good * 8 > all ? good : 0;
}

void add_window(ota_patch_info &info, uint32_t start, uint32_t size) {
    if (info.windows < OTA_PATCH_WINDOWS) {
        info.window[info.windows++] = {start, size};
    }
}

// RAM: neighbouring blocks of 64 KiB that many words point into.
void add_ram(const Bytes &image, ota_patch_info &info) {
    std::map<uint32_t, uint32_t> blocks;
    for (size_t i = 0; i + 4 <= image.size(); i += 4) {
        uint32_t w = ota_get_le32(&image[i]);
        if (w >> 20 == 0x10000000u >> 20 || w >> 20 == 0x20000000u >> 20 || (info.arch == OTA_PATCH_ARM && w >> 20 == 4)) {
            blocks[w >> 16]++;
        }
    }
    uint32_t floor = (uint32_t)(image.size() >> 12) + 16;
    for (auto i = blocks.begin(); i != blocks.end();) {
        uint32_t first = i->first, n = 0;
        while (i != blocks.end() && i->first == first + n && i->second >= floor) {
            n++;
            ++i;
        }
        if (n) {
            add_window(info, first << 16, std::min(n, 16u) << 16);
        } else {
            ++i;
        }
    }
}

const uint32_t below = 0x20000; // an image may begin so far below a megabyte, with a header or a loader

struct Vote {
    uint32_t base, votes; // the latter beyond chance
};

// The load address around this megabyte that makes most words point at functions.
Vote vote_base(const Bytes &image, uint8_t arch, uint32_t megabyte) {
    const uint32_t low = megabyte - below, span = 0x100000 + below;
    std::vector<uint32_t> functions, words, votes(span / 4);
    uint32_t n = (uint32_t)image.size(), best = 0;
    for (uint32_t i = 0; i + 4 <= n; i += arch == OTA_PATCH_THUMB ? 2 : 4) {
        if (starts_function(&image[i], arch)) {
            functions.push_back(i);
        }
    }
    for (uint32_t i = 0; i + 4 <= n; i += 4) {
        uint32_t w = ota_get_le32(&image[i]);
        if (w - low < span + n && (arch != OTA_PATCH_THUMB || w & 1)) {
            words.push_back(w & ~1u);
        }
    }
    std::sort(words.begin(), words.end()); // each once: small numbers are frequent and no addresses
    words.erase(std::unique(words.begin(), words.end()), words.end());
    size_t step = functions.size() * words.size() / 20000000 + 1;
    for (size_t i = 0; i < words.size(); i += step) {
        for (uint32_t f : functions) {
            uint32_t base = words[i] - f - low;
            if (base < span && !(base & 3)) {
                votes[base / 4]++;
            }
        }
    }
    uint64_t all = votes[0];
    for (uint32_t i = 1; i < votes.size(); i++) {
        all += votes[i];
        if (votes[i] > votes[best]) {
            best = i;
        }
    }
    uint32_t chance = (uint32_t)(2 * all / votes.size()); // where there are many words some votes agree by it
    return votes[best] < chance + 8 ? Vote{megabyte, 0} : Vote{low + best * 4, votes[best] - chance};
}

// Of the first megabyte and those that most words which may be pointers point into, the load address with most votes.
uint32_t find_base(const Bytes &image, uint8_t arch) {
    const uint32_t opcodes = 14, tried = 2; // words from 0xe0000000 on are ARM's instructions, most of them
    std::map<uint32_t, uint32_t> count;
    for (size_t i = 0; i + 4 <= image.size(); i += 4) {
        uint32_t w = ota_get_le32(&image[i]);
        if (w >> 20 && w >> 28 < opcodes && (arch != OTA_PATCH_THUMB || w & 1)) {
            count[w >> 20]++;
        }
    }
    Vote best = vote_base(image, arch, 0);
    for (uint32_t n = 0; n < tried && !count.empty(); n++) {
        auto most = std::max_element(count.begin(), count.end(), [](const auto &a, const auto &b) { return a.second < b.second; });
        Vote v = vote_base(image, arch, most->first << 20);
        if (v.votes > best.votes) {
            best = v;
        }
        count.erase(most);
    }
    return best.base;
}

} // namespace

std::vector<uint8_t> guess_archs(const Bytes &image) {
    const uint32_t least = 16, x86_64 = 62; // the latter is ELF's number
    if (image.size() > 20 && !memcmp(image.data(), "\x7f""ELF\2", 5) && image[18] == x86_64) {
        return {OTA_PATCH_X86_64};
    }
    uint32_t score[OTA_PATCH_ARCHS] = {};
    std::vector<uint8_t> r;
    for (uint8_t arch = OTA_PATCH_XTENSA; arch < OTA_PATCH_ARCHS; arch++) {
        score[arch] = call_score(image, arch);
        if (score[arch] >= least) {
            r.push_back(arch);
        }
    }
    std::stable_sort(r.begin(), r.end(), [&score](uint8_t a, uint8_t b) { return score[a] > score[b]; });
    while (r.size() > 1 && score[r.back()] < score[r[0]] / 2) {
        r.pop_back();
    }
    return r;
}

void guess_windows(const Bytes &image, ota_patch_info &info) {
    info.base = 0;
    info.windows = 0;
    switch (info.arch) {
    case OTA_PATCH_XTENSA:
        info.base = vote_base(image, info.arch, 0x40200000u).base;
        add_window(info, 0x3ffe0000u, 0x20000u);
        add_window(info, 0x40100000u, 0x8000u);
        break;
    case OTA_PATCH_THUMB:
    case OTA_PATCH_ARM:
        info.base = find_base(image, info.arch);
        add_ram(image, info);
        break;
    default:
        break;
    }
}

Sites find_sites(const Bytes &image, const ota_patch_info &info) {
    uint32_t n = (uint32_t)image.size();
    Sites r = {Bytes(n + 8, PATCH_NO_SITE), Bytes(n + 8, 1), std::vector<uint32_t>(n + 8)};
    State memory;
    patch_state *s = scan_state(memory, info, n);
    patch_skew(s);
    for (uint32_t i = 0; i + 4 <= n;) {
        patch_site site;
        s->new_pos = s->old_pos = i;
        uint32_t size = 1;
        if (!patch_look(s, &site, &image[i]) && site.type < PATCH_HALF) {
            r.type[i] = site.type;
            r.size[i] = site.size;
            r.target[i] = site.target;
            size = site.size;
        }
        s->out.at = s->item; // nobody takes it
        memcpy(s->item, &image[i], size);
        patch_emit(s, s->item, size);
        if (r.type[i] == PATCH_WORD) {
            s->phase = 0;
        }
        i += size;
    }
    return r;
}

// A copy of the image that differs from another build's less: addresses are blotted out.
Bytes without_addresses(const Bytes &image, const Sites &sites) {
    Bytes r = image;
    for (uint32_t i = 0; i + 4 <= image.size(); i++) {
        switch (sites.type[i]) {
        case PATCH_WORD:
            memcpy(&r[i], "\x77\x53\x11\xf1", 4);
            break;
        case PATCH_CALL:
            r[i] = sites.size[i] == 3 ? 5 : 0x5a;
            memset(&r[i + 1], 0x5a, sites.size[i] - 1u);
            break;
        case PATCH_LOAD:
            memset(&r[i + 1], 0xa5, 2);
            break;
        default:
            break;
        }
    }
    return r;
}
