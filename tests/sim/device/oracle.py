"""The judge outside the device: it looks at the raw cells and at its own record of what has happened, never at what the device
believes."""

# SPDX-License-Identifier: MIT
import _sim
from ota import message, native

CONSOLE, CONFIRMED, TRIAL, VERIFIED = range(4)
TRIES = 3
_COMMIT = 4  # enum sim_phase


class Violation(Exception):
    pass


def numbers(version):
    return tuple(message.numbers(version))


class Oracle:
    def __init__(self, world):
        self._world = world
        self._cells = _sim.cells(False)
        self._done = ()  # highest version that was confirmed
        self._rejected = []
        self._trial = None  # version of the last boot, if that was a trial
        self._trials = {}
        self._alone = None  # version of a trial without a server: it may come again
        self.rotten = False  # bits were flipped: what lies in a slot may be anything

    def check(self, true, words):
        if not true:
            raise Violation(words)

    def image_at(self, slot):
        """The genuine image that lies whole and at rest in a slot, or None."""
        for offer in self._world.offers.values():
            if offer.genuine and not offer.patch and _sim.matches(slot * self._world.part["slot_bytes"], offer.data):
                return offer
        return None

    def trailer(self, slot, before=False):
        end = (slot + 1) * self._world.part["slot_bytes"]
        sector = self._world.part["sector"]
        cells = memoryview(_sim.cells(True) if before else self._cells)
        return native.trailer(bytearray(native.TRAILER_STATE), cells[end - sector : end], sector)

    def looked_at(self):
        """Before every boot: what a slot's marks promise is there."""
        misdeed = _sim.life()[3]
        self.check(misdeed is None, misdeed)
        for slot in range(2):
            complete, rejected = self.trailer(slot)[6], self.trailer(slot)[11]
            if complete and not rejected and not self.rotten:
                self.check(self.image_at(slot), "slot %s is marked complete and holds no whole signed image" % "AB"[slot])

    def booted(self, choice):
        """After a boot that was not cut. Returns the offer whose image runs."""
        how, slot, trial, offset, payload = choice
        self.check(how != CONSOLE, "nothing boots")
        image = self.image_at(slot)
        if not image and self.rotten:
            return None
        self.check(image, "slot %s was started and holds no whole signed image" % "AB"[slot])
        base = slot * self._world.part["slot_bytes"]
        self.check(offset == base + image.header and payload == image.payload, "the payload's place is wrong")
        version = numbers(image.version)
        if self._trial not in (None, version, self._alone) and self._done < self._trial:
            self._rejected.append(self._trial)
        self.check(version not in self._rejected, "%s was rejected and runs again" % image.version)
        self.check(self.rotten or version >= self._done, "%s runs though a newer version was confirmed" % image.version)
        if how == CONFIRMED:
            self.confirmed(image)
        if how == TRIAL:
            self._trials[version] = self._trials.get(version, 0) + 1
            self.check(self._trials[version] <= TRIES + self.cuts(), "%s was tried too often" % image.version)
        self._trial = version if how == TRIAL else None
        return image

    def confirmed(self, image):
        self._done = max(self._done, numbers(image.version))

    def committed(self, slot):
        """The device has told so of a slot."""
        self.check(self.trailer(slot)[6], "slot %s was said to be committed and is not" % "AB"[slot])

    def outage(self, image):
        self._alone = numbers(image.version)

    def cuts(self):
        return len(_sim.life()[1].split(",")) if _sim.life()[1] else 0

    def fetched(self, server, size):
        """A fetch repeats at most one progress step, and the sector that was under way. A slot whose complete mark is seen one day
        and not the other is begun anew: whoever cannot be started and is not rejected is not to be trusted either."""
        if _sim.life()[2] >> _COMMIT & 1:
            return
        sector = self._world.part["sector"]
        step = (size // 64 + sector - 1) // sector * sector
        self.check(server.repeated <= step + sector, "the fetch repeated %d bytes" % server.repeated)


def words(oracle, slot, before=False):
    """A trailer in words; before: as it was before the last cut."""
    (_, started, kind, size, _, progress, complete, sequence, counter, tried, confirmed, rejected, reason, reported) = oracle.trailer(slot, before)
    said = []
    if started:
        said.append("started x%d (%s of %d)" % (started, "patch" if kind else "image", size))
    if progress:
        said.append("progress %d" % progress)
    if complete:
        said.append("complete x%d (sequence %d, counter %d)" % (complete, sequence, counter))
    if tried:
        said.append("tried %d" % tried)
    if confirmed:
        said.append("confirmed x%d" % confirmed)
    if rejected:
        said.append("rejected x%d (%d)" % (rejected, reason))
    if reported:
        said.append("reported")
    text = "%s: %s" % ("AB"[slot], ", ".join(said) or "no marks")
    if not before:
        image = oracle.image_at(slot)
        text += "; holds %s" % (image.version if image else "no whole image")
    return text
