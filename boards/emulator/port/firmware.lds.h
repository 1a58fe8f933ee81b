/* Where the firmware lies on the chip. Through the C preprocessor, for the board's numbers. */
#include "board.h"
ENTRY(firmware_start)
MEMORY
{
    iram (rwx) : ORIGIN = 0x40100000, LENGTH = 32K
    dram (rw) : ORIGIN = 0x3ffe8000, LENGTH = 80K
    irom (rx) : ORIGIN = BOARD_IROM, LENGTH = BOARD_IROM_SIZE
}
SECTIONS
{
    .irom : ALIGN(4)
    {
        *nlr*.o(.literal .literal.* .text .text.*) /* nlr_push reaches nlr_push_tail by a jump of 128 KiB */
        *(EXCLUDE_FILE(*start.o *flash.o) .literal EXCLUDE_FILE(*start.o *flash.o) .literal.* EXCLUDE_FILE(*start.o *flash.o) .text EXCLUDE_FILE(*start.o *flash.o) .text.*)
        *(EXCLUDE_FILE(*start.o *flash.o) .rodata EXCLUDE_FILE(*start.o *flash.o) .rodata.*)
        . = ALIGN(4);
    } > irom
    .iram : ALIGN(4)
    {
        *(.iram0.literal .iram0.text .iram0.text.literal)
        *start.o(.literal .literal.* .text .text.*)
        *flash.o(.literal .literal.* .text .text.*)
        . = ALIGN(4);
        iram_free = .;
    } > iram
    iram_end = ORIGIN(iram) + LENGTH(iram);
    .data : ALIGN(4)
    {
        *(.data .data.* .rodata .rodata.*)
        . = ALIGN(4);
    } > dram
    .noinit (NOLOAD) : ALIGN(4) { *(.noinit) } > dram
    .bss (NOLOAD) : ALIGN(4)
    {
        bss_start = .;
        *(.bss .bss.* COMMON)
        . = ALIGN(4);
        bss_end = .;
    } > dram
    /DISCARD/ : { *(.comment .xtensa.info .xt.prop* .xt.lit* .eh_frame) }
}
