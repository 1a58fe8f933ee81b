# The board's firmware with the unit tests frozen in: compiled, they take no memory. Assertions stay.
# SPDX-License-Identifier: MIT
import os

include("$(MPOTA_DIR)/boards/esp8266/manifest.py")
for name in os.environ["UNITS"].split():
    module(name + ".py", base_path="$(MPOTA_DIR)/tests/unit/device", opt=0)
module("ramflash.py", base_path="$(MPOTA_DIR)/tests/emulator/units", opt=0)
module("frozen_artifacts.py", base_path=os.environ["ARTIFACTS"], opt=0)
