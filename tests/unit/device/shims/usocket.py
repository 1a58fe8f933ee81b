"""What umqtt.simple imports before ota.transport.net has put its own module there."""
# SPDX-License-Identifier: MIT
