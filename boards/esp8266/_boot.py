"""Runs before the application: a trial that hangs must end in a reset, and a damaged file system must not end the boot."""

# SPDX-License-Identifier: MIT
import gc

gc.threshold((gc.mem_free() + gc.mem_alloc()) // 4)
import vfs
from flashbdev import bdev

from ota.hal.esp8266 import watch_trial

try:
    watch_trial()
except OSError:
    pass  # the application wrote over what the second boot left (SPEC.md section 6): the service will tell
try:
    vfs.mount(bdev, "/")
except OSError:
    vfs.VfsLfs2.mkfs(bdev)
    vfs.mount(vfs.VfsLfs2(bdev), "/")
gc.collect()
