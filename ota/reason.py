"""Why an update was refused or failed: the codes of SPEC.md section 5 in words."""

# SPDX-License-Identifier: MIT

# (code, step of the progress report, words)
_REASONS = (
    (1001, -3, "not an image"),
    (1002, -3, "image header is not one this board can use"),
    (1003, -3, "image does not fit or is cut short"),
    (1004, -3, "image TLVs malformed or missing"),
    (1005, -3, "image hash differs"),
    (1006, -3, "image signed by an unknown key"),
    (1007, -3, "image signature is wrong"),
    (1008, -3, "image is for another product or board"),
    (1009, -3, "security counter too low"),
    (1010, -1, "version is not newer"),
    (1011, -3, "public key unusable"),
    (1020, -1, "message is not JSON"),
    (1021, -1, "message too long"),
    (1022, -1, "message field missing or of a wrong type"),
    (1023, -1, "digest method not accepted"),
    (1024, -1, "digestsign missing"),
    (1025, -1, "digestsign is wrong"),
    (1026, -1, "URL not accepted"),
    (1027, -1, "artifact larger than the slot"),
    (1028, -1, "declined by the application"),
    (1029, -1, "another update is running"),
    (1030, -1, "running image is not confirmed"),
    (1031, -1, "artifact was rejected before"),
    (1040, -2, "server answered with another status"),
    (1041, -2, "server sent another range"),
    (1042, -2, "body is not of the announced size"),
    (1043, -2, "connection lost too often"),
    (1044, -2, "no TLS with the server, or its certificate refused"),
    (1045, -2, "this board has no TLS or DTLS for it"),
    (1046, -1, "registration refused"),
    (1050, -3, "digest differs"),
    (1051, -3, "image is not of the announced version"),
    (1060, -4, "flash failed"),
    (1061, -4, "trailer full"),
    (1062, -1, "not enough memory"),
    (1070, -1, "not a patch"),
    (1071, -1, "patch header is not one this decoder can use"),
    (1072, -1, "patch needs more decoder state"),
    (1073, -1, "patch was made for another base"),
    (1074, -1, "patch stream is damaged"),
    (1075, -1, "patch is cut short or too long"),
    (1090, -1, "not confirmed in its trials"),
    (1091, -1, "rolled back by the application"),
    (1092, -1, "reached no server in its trial"),
    (1093, -1, "no image to go back to"),
)


def of(code):
    """Returns (step, words) for an error code; an errno of the system or an unknown code is a failed upgrade, -1."""
    for known, step, words in _REASONS:
        if known == code:
            return step, words
    return -1, "error"
