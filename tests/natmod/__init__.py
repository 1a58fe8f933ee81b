"""The native module on the MicroPythons that can load it."""
