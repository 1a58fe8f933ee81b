"""Tests of the host's side."""
# SPDX-License-Identifier: MIT
