"""Mounts the file system, making one where there is none. An application's own _boot.py replaces this."""

# SPDX-License-Identifier: MIT
import gc

gc.threshold((gc.mem_free() + gc.mem_alloc()) // 4)
import vfs
from flashbdev import bdev

try:
    vfs.mount(bdev, "/")
except OSError:
    vfs.VfsLfs2.mkfs(bdev)
    vfs.mount(vfs.VfsLfs2(bdev), "/")
gc.collect()
