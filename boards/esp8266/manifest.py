# SPDX-License-Identifier: MIT
include("$(MPOTA_DIR)/manifest.py")
package("ota", ("hal/esp8266.py",), base_path="$(MPOTA_DIR)", opt=3)
module("ota_config.py", base_path="$(MPOTA_GEN)", opt=3)
include("$(MPOTA_GEN)/app.py")
module("_boot.py", base_path="$(MPOTA_DIR)/boards/esp8266", opt=3)
module("flashbdev.py", base_path="$(MPOTA_DIR)/boards/emulator/port/modules", opt=3)
