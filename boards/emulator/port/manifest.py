# What is frozen into the emulated ESP8266's plain firmware. A product's manifest includes or replaces this.
module("_boot.py", base_path="modules")
module("flashbdev.py", base_path="modules")
include("$(MPY_DIR)/extmod/asyncio")
