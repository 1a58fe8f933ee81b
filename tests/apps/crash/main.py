"""An application that takes the whole image down: it reads address 0."""

# SPDX-License-Identifier: MIT
import uctypes

print("crash: started")
print(uctypes.bytearray_at(0, 1)[0])
