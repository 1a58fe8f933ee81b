"""Linkkit's names and passwords: what a device logs in with."""
# SPDX-License-Identifier: MIT

import hashlib
import hmac
import re

from mpota.errors import ToolError

TIMESTAMP = "2524608000000"  # a constant of every AliOS device, so a device's password never changes
_PRODUCT_KEY = re.compile(r"[A-Za-z0-9]{1,20}")
_DEVICE_NAME = re.compile(r"[A-Za-z0-9_.@-]{1,32}")  # Linkkit allows ':' too; mosquitto's password file cannot
_SECRET = re.compile(r"[!-~]{1,64}")


def user_name(pk, dn):
    """The MQTT user."""
    return f"{dn}&{pk}"


def password(pk, dn, secret):
    """The MQTT password."""
    message = f"clientId{pk}.{dn}deviceName{dn}productKey{pk}timestamp{TIMESTAMP}"
    return hmac.new(secret.encode(), message.encode(), hashlib.sha256).hexdigest()


def check_names(pk, dn=None):
    """Refuses what cannot be a product key or a device name."""
    if not _PRODUCT_KEY.fullmatch(pk):
        raise ToolError(pk, "not a product key (1 to 20 letters and digits)")
    if dn is not None and not _DEVICE_NAME.fullmatch(dn):
        raise ToolError(dn, "not a device name (1 to 32 letters, digits and any of - _ . @)")


def check_secret(name, secret):
    """Refuses what cannot be a secret; `name` says which one."""
    if not _SECRET.fullmatch(secret):
        raise ToolError(name, "not a secret (1 to 64 printable ASCII characters without spaces)")
