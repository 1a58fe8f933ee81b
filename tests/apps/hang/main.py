"""An application that starts and then never feeds the watchdog again."""

# SPDX-License-Identifier: MIT
print("hang: started")
while True:
    pass
