"""An application that starts and then never feeds the watchdog again. It has a second file."""

# SPDX-License-Identifier: MIT
import forever

print("hang: started")
forever.run()
