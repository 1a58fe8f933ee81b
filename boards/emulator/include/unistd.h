// SPDX-License-Identifier: MIT
#include <stdio.h>
#include <sys/types.h>
