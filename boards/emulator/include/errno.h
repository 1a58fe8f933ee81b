// SPDX-License-Identifier: MIT
#ifndef ERRNO_H
#define ERRNO_H
extern int errno;
#define EDOM 33
#define ERANGE 34
#endif
