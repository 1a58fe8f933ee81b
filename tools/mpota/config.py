"""The options of a firmware build: boards/Kconfig and what the user's .config sets of it."""
# SPDX-License-Identifier: MIT

from dataclasses import dataclass
from pathlib import Path

import kconfiglib

from mpota.errors import ToolError

PROTOCOLS = ("MQTT", "COAP")  # indices are OtaService's trans_protcol
SIGNS = ("SHA256", "MD5", "RSA")  # and its sign_type


@dataclass(frozen=True)
class Config:
    """Paths are relative to the project's folder. server: "host:port" or None; protocol, sign: numbers, see above."""

    board: str
    product: str
    image_keys: tuple  # the first signs
    digest_key: str
    protocol: int
    server: str | None
    sign: int
    tries: int
    console: bool
    ca: str | None


def load(path, boards, board=None):
    """The options in the file `path`, defaults for those it does not set or if there is none. boards: the folder of the
    boards. board: instead of the file's."""
    kconfig = Path(boards) / "Kconfig"
    try:
        kconf = kconfiglib.Kconfig(str(kconfig), warn_to_stderr=False)
    except kconfiglib.KconfigError as error:
        raise ToolError(kconfig, " ".join(str(error).split())) from error
    kconf.warn_assign_undef = True
    try:
        if Path(path).exists():
            kconf.load_config(str(path))
        chosen = kconf.syms.get(f"BOARD_{board}".upper().replace("-", "_"))
        if chosen:
            chosen.set_value("y")
        found = _read(kconf, board)
    except kconfiglib.KconfigError as error:
        raise ToolError(path, " ".join(str(error).split())) from error
    if kconf.warnings:
        raise ToolError(path, kconf.warnings[0].removeprefix("warning: "))
    if not found.image_keys:
        raise ToolError(path, "CONFIG_IMAGE_KEY is empty")
    return found


def _read(kconf, board):
    def value(name):
        return kconf.syms[name].str_value

    def index(names, prefix):
        return next(i for i, name in enumerate(names) if value(f"{prefix}_{name}") == "y")

    return Config(
        board=board or value("BOARD"),
        product=value("PRODUCT"),
        image_keys=tuple(value("IMAGE_KEY").split()),
        digest_key=value("DIGEST_KEY"),
        protocol=index(PROTOCOLS, "PROTOCOL"),
        server=value("SERVER") or None,
        sign=index(SIGNS, "SIGN"),
        tries=int(value("TRIES")),
        console=value("CONSOLE") == "y",
        ca=value("CA") or None,
    )
