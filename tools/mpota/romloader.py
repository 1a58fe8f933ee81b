"""The ESP8266 ROM's UART download mode: SLIP packets in, answers out, writing to a flash file.

What `esptool --no-stub` needs of it: sync, registers, and writing flash. Flash keeps the rules of NOR.
"""

import struct
from pathlib import Path

SECTOR = 4096
_END, _ESC, _ESC_END, _ESC_ESC = 0xC0, 0xDB, 0xDC, 0xDD
_FLASH_BEGIN, _FLASH_DATA, _FLASH_END, _SYNC, _WRITE_REG, _READ_REG = 0x02, 0x03, 0x04, 0x08, 0x09, 0x0A
_CHECKSUM_SEED = 0xEF
_OK, _FAILED = b"\x00\x00", b"\x01\x05"
_BAD_CHECKSUM = b"\x01\x07"

# Registers esptool looks at: chip recognition, the UART's divisor for 26 MHz, fuses with the MAC address.
_DETECT, _DETECT_VALUE = 0x40001000, 0xFFF0C101
_UART_CLKDIV, _DIVISOR = 0x60000014, 451
_SPI_CMD, _SPI_USR2, _SPI_W0 = 0x60000200, 0x60000224, 0x60000240
_READ_ID = 0x9F


def slip_encode(packet: bytes) -> bytes:
    return bytes([_END]) + packet.replace(b"\xdb", b"\xdb\xdd").replace(b"\xc0", b"\xdb\xdc") + bytes([_END])


class SlipDecoder:
    """Turns a byte stream into packets."""

    def __init__(self) -> None:
        self._packet: bytearray | None = None
        self._escaped = False

    def push(self, data: bytes) -> list[bytes]:
        packets = []
        for byte in data:
            if byte == _END:
                if self._packet:
                    packets.append(bytes(self._packet))
                self._packet, self._escaped = bytearray(), False
            elif self._packet is not None:
                if self._escaped:
                    byte = {_ESC_END: _END, _ESC_ESC: _ESC}.get(byte, byte)
                    self._escaped = False
                elif byte == _ESC:
                    self._escaped = True
                    continue
                self._packet.append(byte)
        return packets


class RomLoader:
    """One visit to download mode."""

    def __init__(self, flash: Path, chip_id: int = 0x123456) -> None:
        self._flash = flash
        self._size = flash.stat().st_size
        self._slip = SlipDecoder()
        self._next = 0
        self._block = 0
        jedec = (self._size.bit_length() - 1) << 16 | 0x40EF
        mac = bytes([0x5C, 0xCF, 0x7F]) + chip_id.to_bytes(3, "big")
        self._registers = {
            _DETECT: _DETECT_VALUE,
            _UART_CLKDIV: _DIVISOR,
            0x3FF00050: mac[5] << 24,
            0x3FF00054: 0x02000000 | mac[3] << 8 | mac[4],
            0x3FF0005C: mac[0] << 16 | mac[1] << 8 | mac[2],
        }
        self._jedec = jedec

    def push(self, data: bytes) -> bytes:
        """Answers to what the host sent."""
        return b"".join(self._answer(packet) for packet in self._slip.push(data))

    def _answer(self, packet: bytes) -> bytes:
        if len(packet) < 8 or packet[0] != 0:
            return b""
        command, size, checksum = struct.unpack_from("<BHI", packet, 1)
        body = packet[8:]
        if len(body) != size:
            return b""
        try:
            value, status = self._run(command, body, checksum)
        except struct.error:  # too short for its command
            value, status = 0, _FAILED
        reply = slip_encode(struct.pack("<BBHI", 1, command, len(status), value) + status)
        return reply * 8 if command == _SYNC else reply

    def _run(self, command: int, body: bytes, checksum: int) -> tuple[int, bytes]:
        if command == _SYNC:
            return 0, _OK
        if command == _READ_REG:
            return self._registers.get(struct.unpack_from("<I", body)[0], 0), _OK
        if command == _WRITE_REG:
            return 0, self._write_register(*struct.unpack_from("<II", body))
        if command == _FLASH_BEGIN:
            return 0, self._begin(*struct.unpack_from("<IIII", body))
        if command == _FLASH_DATA:
            return 0, self._data(body, checksum)
        if command == _FLASH_END:
            return 0, _OK
        return 0, _FAILED

    def _write_register(self, address: int, value: int) -> bytes:
        if address == _SPI_CMD:  # an SPI command of the host's own, done at once
            if self._registers.get(_SPI_USR2, 0) & 0xFF == _READ_ID:
                self._registers[_SPI_W0] = self._jedec
            return _OK
        self._registers[address] = value
        return _OK

    def _begin(self, erase_size: int, blocks: int, block_size: int, offset: int) -> bytes:
        """Erases as the ROM does, which forgets to count the sectors up to the next 64-KiB block."""
        sectors = -(-erase_size // SECTOR)
        head = min(16 - offset // SECTOR % 16, sectors)
        end = offset // SECTOR * SECTOR + (sectors + head) * SECTOR
        if offset > self._size or offset + blocks * block_size > self._size:
            return _FAILED
        if sectors:
            with self._flash.open("r+b") as f:
                f.seek(offset // SECTOR * SECTOR)
                f.write(b"\xff" * (min(end, self._size) - offset // SECTOR * SECTOR))
        self._next, self._block = offset, 0
        return _OK

    def _data(self, body: bytes, checksum: int) -> bytes:
        size, number = struct.unpack_from("<II", body)
        data = body[16:]
        found = _CHECKSUM_SEED
        for byte in data:
            found ^= byte
        if len(data) != size or found != checksum & 0xFF:
            return _BAD_CHECKSUM
        if number != self._block or self._next + size > self._size:
            return _FAILED
        with self._flash.open("r+b") as f:
            f.seek(self._next)
            old = f.read(size)
            f.seek(self._next)
            f.write((int.from_bytes(old, "big") & int.from_bytes(data, "big")).to_bytes(size, "big"))
        self._next += size
        self._block += 1
        return _OK
