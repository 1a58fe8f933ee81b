"""mpota: builds, signs, publishes and serves firmware updates."""
# SPDX-License-Identifier: MIT
