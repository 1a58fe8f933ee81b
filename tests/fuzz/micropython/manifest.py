# Nothing is frozen.
# SPDX-License-Identifier: MIT
