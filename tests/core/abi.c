// What tests/otacore.py must know of the C structures it only passes around.
// SPDX-License-Identifier: MIT
#include "boot.h"
#include "coap.h"
#include "md5.h"
#include "norchip.h"

uint32_t abi_size(uint32_t which);

uint32_t abi_size(uint32_t which) {
    static const size_t sizes[] = {
        sizeof(ota_sha256_t), sizeof(ota_rsa_work_t), sizeof(ota_image_t), sizeof(ota_trailer_t), sizeof(ota_boot_t),
        sizeof(ota_image_info_t), sizeof(struct ota_boot_config), sizeof(struct ota_boot_choice), sizeof(struct ota_io),
        sizeof(struct norchip), sizeof(struct ota_trust), sizeof(ota_md5_t),
        sizeof(ota_coap_t), sizeof(struct ota_coap_writer),
    };
    return which < sizeof(sizes) / sizeof(sizes[0]) ? (uint32_t)sizes[which] : 0;
}
