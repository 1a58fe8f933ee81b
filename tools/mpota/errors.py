"""The one exception for everything that is not a bug of ours."""
# SPDX-License-Identifier: MIT


class ToolError(Exception):
    """What is wrong (`reason`) with what (`path`: a file, a device, a port)."""

    def __init__(self, path, reason):
        super().__init__(f"{path}: {reason}")
        self.path = str(path)
        self.reason = reason


def os_error(path, error):
    """The ToolError for an OSError met at `path`."""
    return ToolError(path, error.strerror or str(error))
