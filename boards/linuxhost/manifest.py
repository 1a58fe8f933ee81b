# SPDX-License-Identifier: MIT
include("$(MPOTA_DIR)/manifest.py")
package("ota", ("hal/linuxhost.py",), base_path="$(MPOTA_DIR)", opt=3)
module("ota_config.py", base_path="$(MPOTA_GEN)", opt=3)
include("$(MPOTA_GEN)/app.py")
