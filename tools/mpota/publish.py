"""Publishing: an artifact into the served folder, and a target into the store."""
# SPDX-License-Identifier: MIT

import hashlib
import time
from collections import Counter
from dataclasses import dataclass, replace

from mpota import image, keys, patching, rules, signing, storage
from mpota.errors import ToolError
from mpota.running import served_folder
from mpota.store import Artifact

# what the command takes: how Linkkit spells it, the function
DIGESTS = {"sha256": ("SHA256", hashlib.sha256), "md5": ("Md5", hashlib.md5)}
WAIT_POLL_S = 0.1


@dataclass(frozen=True)
class PatchOptions:
    """bases: image files of versions that were never published. state: bytes the boards' decoder has."""

    bases: tuple
    state: int
    digest: str


def prepare(folder, path, key, digest="sha256"):
    """Checks the artifact, copies it to where it is served, and signs its digest."""
    parsed, data = image.load_program(path)
    return serve(folder, data, str(parsed.version), key, digest)


def fitting(store, path, targets, tell):
    """The targets but those against which speaks what they fetched from here and run: the image at `path` is of another product or board,
    or the same version of other bytes, which they would never fetch. tell(text): why one is left out."""
    parsed, data = image.load_program(path)
    known, found = {}, []  # known: class of a served file
    for device in targets:
        runs = next((update for update in store.history(device.pk, device.dn) if update.state == rules.UPDATED), None)
        if not (runs and runs.best >= 0 and device.version and rules.same_version(runs.version, device.version)):
            found.append(device)
            continue
        name = store.artifact(runs.artifact).file
        if name not in known:
            known[name] = _class(served_folder(store.folder) / name)
        if known[name] not in (None, parsed.tlvs["UUID_CID"]):
            tell(f"{device.name} left out: it runs {runs.version} of another product or board")
        elif rules.same_version(runs.version, str(parsed.version)) and name != _served_name(data):
            tell(f"{device.name} left out: it runs another {runs.version}; a version is one image for good")
        else:
            found.append(device)
    if not found:
        raise ToolError(path, "fits none of the devices")
    return found


def _class(path):
    try:
        return image.load_program(path)[0].tlvs["UUID_CID"]
    except ToolError:
        return None  # gone, or damaged: it tells nothing


def prepare_patches(store, path, targets, signers, options, tell):
    """A patch to the image at `path` for every version that the targets run and that the server or `options` know.

    signers: (image key, digest key). options: PatchOptions. tell(text): why there is no patch."""
    result = image.load_program(path)[0]
    signing.check_key(result, signers[0], path)
    known = _bases(options.bases, result.tlvs["UUID_CID"])
    running = {device.version for device in targets if device.version}
    for version in sorted(known.keys() - running):
        tell(f"no patch for {version}: no device that is published to has told it runs that")
    patches = []
    for version in sorted(running):
        old = known.get(version) or _served(store, version, result.tlvs["UUID_CID"], tell)
        if old is None or rules.same_version(version, str(result.version)):
            continue
        data, size = patching.for_base(store.folder / "patches", old, path, signers[0], options.state)
        if data is None:
            tell(f"no patch for {version}: it would have {size} bytes, more than two thirds of the image")
        else:
            patches.append(replace(serve(store.folder, data, str(result.version), signers[1], options.digest), base=version))
    return patches


def _bases(paths, class_id):
    """The image files by their versions."""
    known = {}
    for path in paths:
        found, data = image.load_program(path)
        version = str(found.version)
        if found.tlvs["UUID_CID"] != class_id:
            raise ToolError(path, "of another product or board than what is published")
        if version in known and storage.read(known[version]) != data:
            raise ToolError(path, f"another {version} than {known[version]}")
        known[version] = path
    return known


def _served(store, version, class_id, tell):
    """The newest image of a version for the same product and board, or None."""
    for found in store.images(version):
        path = served_folder(store.folder) / found.file
        try:
            if path.is_file() and image.load_program(path)[0].tlvs["UUID_CID"] == class_id:
                return path
        except ToolError as error:
            tell(f"no patch from this one: {error}")
    return None


def serve(folder, data, version, key, digest="sha256"):
    """Copies an artifact to where it is served, and signs its digest."""
    method, function = DIGESTS[digest]
    value = function(data).digest()
    name = _served_name(data)
    storage.make_folder(served_folder(folder))
    storage.write(served_folder(folder) / name, data)
    return Artifact(0, name, len(data), version, method, value.hex(), keys.sign_digest(key, value))


def _served_name(data):
    return f"{hashlib.sha256(data).hexdigest()}.bin"


def devices(store, names, pk):
    """The devices that `names` (pk/dn) and the product `pk` mean, each once."""
    found = [store.device(*_split(name)) for name in names]
    if pk is not None:
        found += store.devices(pk)
    if not found:
        raise ToolError(pk or store.folder, "no device")
    return list(dict.fromkeys(found))


def _split(name):
    pk, slash, dn = name.partition("/")
    if not slash:
        raise ToolError(name, "not of the form PK/DN")
    return pk, dn


def first_of(path, devices, count, version):
    """The devices that are told at once of the image at `path`, and the others. The first `count` that say they run what `version` replaces
    are told, each version they run in its turn, and those that run `version` already, to which it is no news. All are told if there is none
    to try but one runs it; ToolError if there is neither."""
    seen, turns, done = Counter(), [], []
    for device in devices:
        if device.version and rules.same_version(device.version, version):
            done.append(device)
        elif device.version and rules.replaces(version, device.version):
            turns.append((seen[device.version], device))
            seen[device.version] += 1
    if not turns:
        if not done:
            raise ToolError(path, f"no device says that it runs what {version} replaces: there is none to tell first")
        return devices, []
    first = {device for _, device in sorted(turns, key=lambda turn: turn[0])[:count]}.union(done)
    return [device for device in devices if device in first], [device for device in devices if device not in first]


def wait(store, numbers, on_change, timeout_s):
    """Follows updates until none is open any more, nor held behind what all others run; on_change(update) tells of every step. Returns
    them as they are at last."""
    deadline = time.monotonic() + timeout_s
    seen, changed = {}, None
    while True:
        now = store.changed_by_others()
        if now != changed:
            changed, updates = now, store.updates(numbers)
            for update in updates:
                if seen.get(update.id) != update:
                    seen[update.id] = update
                    on_change(update)
        states = {update.state for update in updates}
        goes_on = states.intersection(rules.OPEN) or ({rules.HELD, rules.UPDATED} <= states and rules.FAILED not in states)
        if not goes_on or time.monotonic() > deadline:
            return updates
        time.sleep(WAIT_POLL_S)

