"""An application that ends with an exception and leaves the board at Python's prompt."""

# SPDX-License-Identifier: MIT
print("raises: started")
raise RuntimeError("the application is broken")
