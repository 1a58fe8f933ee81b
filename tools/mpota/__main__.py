"""python -m mpota."""
# SPDX-License-Identifier: MIT

from mpota.cli import main

main()
