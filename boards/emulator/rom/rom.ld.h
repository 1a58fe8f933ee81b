/* Made into rom.ld by the C preprocessor: the ROM's addresses for whoever links against it. */
#define ROM(address, name) PROVIDE(name = 0x ## address);
#include "entries.h"
PROVIDE(flashchip = 0x3fffc714);
