"""The device's error codes as text (SPEC.md, section 5: Error codes) and which of them are final."""
# SPDX-License-Identifier: MIT

import re

# code: (name, step, reason)
CODES = {
    1001: ("E_MAGIC", -3, "not an image"),
    1002: ("E_HEADER", -3, "image header is not one this board can use"),
    1003: ("E_SIZE", -3, "image does not fit or is cut short"),
    1004: ("E_TLV", -3, "image TLVs malformed or missing"),
    1005: ("E_HASH", -3, "image hash differs"),
    1006: ("E_KEY", -3, "image signed by an unknown key"),
    1007: ("E_SIGNATURE", -3, "image signature is wrong"),
    1008: ("E_PRODUCT", -3, "image is for another product or board"),
    1009: ("E_COUNTER", -3, "security counter too low"),
    1010: ("E_OLD_VERSION", -1, "version is not newer"),
    1011: ("E_KEY_FORMAT", -3, "public key unusable"),
    1020: ("E_JSON", -1, "message is not JSON"),
    1021: ("E_LONG", -1, "message too long"),
    1022: ("E_FIELD", -1, "message field missing or of a wrong type"),
    1023: ("E_METHOD", -1, "digest method not accepted"),
    1024: ("E_NO_DIGESTSIGN", -1, "digestsign missing"),
    1025: ("E_DIGESTSIGN", -1, "digestsign is wrong"),
    1026: ("E_URL", -1, "URL not accepted"),
    1027: ("E_BIG", -1, "artifact larger than the slot"),
    1028: ("E_DECLINED", -1, "declined by the application"),
    1029: ("E_BUSY", -1, "another update is running"),
    1030: ("E_TRIAL", -1, "running image is not confirmed"),
    1031: ("E_REJECTED", -1, "artifact was rejected before"),
    1040: ("E_STATUS", -2, "server answered with another status"),
    1041: ("E_RANGE", -2, "server sent another range"),
    1042: ("E_LENGTH", -2, "body is not of the announced size"),
    1043: ("E_STALL", -2, "connection lost too often"),
    1044: ("E_TLS", -2, "no TLS with the server, or its certificate refused"),
    1045: ("E_NO_TLS", -2, "this board has no TLS or DTLS for it"),
    1046: ("E_REGISTER", -1, "registration refused"),
    1050: ("E_DIGEST", -3, "digest differs"),
    1051: ("E_VERSION", -3, "image is not of the announced version"),
    1060: ("E_FLASH", -4, "flash failed"),
    1061: ("E_TRAILER_FULL", -4, "trailer full"),
    1062: ("E_MEMORY", -1, "not enough memory"),
    1070: ("E_PATCH_MAGIC", -1, "not a patch"),
    1071: ("E_PATCH_HEADER", -1, "patch header is not one this decoder can use"),
    1072: ("E_PATCH_STATE", -1, "patch needs more decoder state"),
    1073: ("E_PATCH_BASE", -1, "patch was made for another base"),
    1074: ("E_PATCH_DATA", -1, "patch stream is damaged"),
    1075: ("E_PATCH_SIZE", -1, "patch is cut short or too long"),
    1090: ("E_TRIES", -1, "not confirmed in its trials"),
    1091: ("E_ROLLBACK", -1, "rolled back by the application"),
    1092: ("E_ALONE", -1, "reached no server in its trial"),
    1093: ("E_NO_WAY_BACK", -1, "no image to go back to"),
}

LATER = {1029, 1030}  # says nothing about the artifact: the device is not ready for it
WENT_BACK = {1090, 1091, 1092}
OF_PATCH = range(1070, 1076)
# The next attempt can end otherwise: memory, the application, the network, the flash.
RETRY = {1021, 1028, 1040, 1041, 1042, 1043, 1044, 1060, 1061, 1062, 1092}
# "Verify failed" by the cloud's table, and the numbers AliOS sends for it.
FINAL_STEPS = {-3, -10, -11, -12}

_CODE = re.compile(r"\d{4}\b")


def find(desc):
    """The code that a report's `desc` starts with, or None."""
    match = _CODE.match(desc)
    return int(match[0]) if match and int(match[0]) in CODES else None


def text(desc):
    """`desc` for people: a bare code is followed by its reason."""
    return f"{desc} {CODES[int(desc)][2]}" if desc.isdigit() and find(desc) else desc


def is_final(step, desc):
    """True for a failure that the same artifact would meet again."""
    code = find(desc)
    if code is not None:
        return code not in RETRY and code not in LATER
    return step in FINAL_STEPS
