/* Through the C preprocessor: where upstream's firmware lies when it is the payload of an image. */
#include "board.h"
MEMORY
{
    dport0_0_seg : org = 0x3ff00000, len = 0x10
    dram0_0_seg : org = 0x3ffe8000, len = 0x14000
    iram1_0_seg : org = 0x40100000, len = 0x8000
    irom0_0_seg : org = BOARD_IROM, len = BOARD_IROM_SIZE
}
/* What upstream's script does not name lands in instruction RAM, which has no room for it. */
SECTIONS
{
    .irom0.mpota : ALIGN(4)
    {
        *module/../core/?*.o(.literal* .text* .rodata*)
        *module/?*.o(.literal* .text* .rodata*)
        *silicon/modesp8266.o(.literal* .text* .rodata*)
        *silicon/watchdog.o(.literal* .text* .rodata*)
    } >irom0_0_seg :irom0_0_phdr
}
INCLUDE boards/esp8266_common.ld
_firmware_size = BOARD_FILESYSTEM;
