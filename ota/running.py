"""What the running image says of itself. Its signature was the second boot's business."""

# SPDX-License-Identifier: MIT
from ota import native


def read(slot, feed):
    """Returns (version, counter) of the image in the slot: text and security counter.

    A complete slot's mark tells the counter; of a factory image it stands behind the payload, and all of it is
    read. feed(): restarts the watchdog."""
    state = bytearray(native.IMAGE_STATE)
    native.image_init(state, slot.room)
    offset = slot.offset
    while offset < slot.trailer:
        feed()
        slot.read_part(offset)
        if native.image_push(state, slot.buf, len(slot.buf)) != len(slot.buf):
            break
        offset += len(slot.buf)
        if slot.complete:
            break
    version, counter = native.image_info(state)[:2]
    text = "%d.%d.%d" % version[:3]
    if version[3]:
        text += "+%d" % version[3]
    return text, slot.counter if slot.complete else counter
