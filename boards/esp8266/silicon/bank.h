// The flash bank this image runs from.
// SPDX-License-Identifier: MIT
#ifndef MPOTA_BANK_H
#define MPOTA_BANK_H

#include "board.h"
#include "ota/second_boot/handover.h"

#define UNKNOWN_BANK 0xffffffffu

uint32_t mpota_bank(void);

#endif
