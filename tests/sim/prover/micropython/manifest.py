# What every board's firmware has, for the lives that run it as it is frozen there.
# SPDX-License-Identifier: MIT
include("$(MPOTA_DIR)/manifest.py")
