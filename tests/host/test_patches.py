"""`mpota patch` with any two files, and the patches that publishing makes and the server chooses."""
# SPDX-License-Identifier: MIT

import functools
import hashlib
import json
import os
import random
import re
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from mpota import board, coapserver, esptool_, image, keys, messages, patch, patching, publish, rules
from mpota.errors import ToolError
from mpota.service import Service
from mpota.store import Device
from patch_pairs import linked_pair

from .helpers import DN, PK, mpota, mpota_json, mpota_process

OLD, NEW = linked_pair(1, "thumb", 60)
NOW = 1_700_000_000.0


@pytest.fixture
def files(tmp_path, monkeypatch):
    """A folder with two files and a patch, made the current one."""
    monkeypatch.chdir(tmp_path)
    for name, data in {"old": OLD, "new": NEW, "patch": patch.make(OLD, NEW), "empty": b"", "big": bytes((1 << 24) + 1)}.items():
        (tmp_path / name).write_bytes(data)
    return tmp_path


def refused(*command):
    """The line on stderr, after `mpota: `."""
    done = mpota(*command)
    assert (done.returncode, done.stdout) == (1, ""), done
    assert done.stderr.startswith("mpota: ") and done.stderr.count("\n") == 1, done.stderr
    return done.stderr[len("mpota: ") : -1]


# ---- make, apply, info


@pytest.mark.parametrize("arch", ["auto", *patch.ARCHS])
def test_what_is_made_is_applied_and_told(files, arch):
    made = mpota_json("patch", "make", "old", "new", "out", "--arch", arch, "--state", "0x2000")
    assert made == mpota_json("patch", "info", "out")
    assert made["state_bytes"] <= 0x2000
    assert (made["base_sha256"], made["result_sha256"]) == (hashlib.sha256(OLD).hexdigest(), hashlib.sha256(NEW).hexdigest())
    assert (made["base_size"], made["result_size"], made["patch_size"]) == (len(OLD), len(NEW), (files / "out").stat().st_size)
    assert mpota("patch", "apply", "old", "out", "result").stdout == f"result: {len(NEW)} bytes, hash is right\n"
    assert (files / "result").read_bytes() == NEW


def test_one_line_tells_what_was_made(files):
    said = mpota("patch", "make", "old", "new", "out").stdout
    size = (files / "out").stat().st_size
    assert said == f"out: {size} bytes, {100 * size / len(NEW):.1f} % of new, decoder state {patch.info((files / 'out').read_bytes())['state_bytes']}\n"


def test_missing_folder_is_told_before_the_work(files, monkeypatch):
    monkeypatch.setattr(patch, "make", None)
    assert refused("patch", "make", "old", "new", "none/out") == "none/out: No such file or directory"


def test_what_is_read_is_not_written_over(files):
    (files / "link").symlink_to("new")
    for out in ("old", "new", "link", "./old"):
        assert refused("patch", "make", "old", "new", out) == f"{out}: would be written over, and it is read"
    for out in ("old", "patch"):
        assert refused("patch", "apply", "old", "patch", out) == f"{out}: would be written over, and it is read"
    assert ((files / "old").read_bytes(), (files / "new").read_bytes()) == (OLD, NEW)


def test_patch_on_standard_output_is_not_mixed_with_what_is_said_of_it(files):
    mpota("patch", "make", "old", "new", "out")
    for options in ((), ("--json",)):
        done = subprocess.run([sys.executable, "-m", "mpota", "patch", "make", "old", "new", "/dev/stdout", *options], cwd=files, capture_output=True)
        assert done.stdout == (files / "out").read_bytes() and done.stderr


def test_interrupt_ends_the_encoder_at_once(files):
    values = random.Random(3)
    for name in ("old", "new"):
        (files / name).write_bytes(bytes(values.choices((0, 1, 2, 255), k=600_000)))  # seconds of work
    heeding = functools.partial(signal.signal, signal.SIGINT, signal.SIG_DFL)  # what runs in a shell's background ignores it
    command = [sys.executable, "-m", "mpota", "patch", "make", "old", "new", "out"]
    with subprocess.Popen(command, cwd=files, stderr=subprocess.PIPE, preexec_fn=heeding) as made:
        deadline = time.monotonic() + 30
        while "encoder" not in Path(f"/proc/{made.pid}/maps").read_text() and time.monotonic() < deadline:
            time.sleep(0.01)
        time.sleep(0.2)
        made.send_signal(signal.SIGINT)
        assert made.wait(2) == -signal.SIGINT
    assert sorted(path.name for path in files.iterdir()) == ["big", "empty", "new", "old", "patch"]


def test_same_files_give_the_same_patch(files):
    for out in ("one", "two"):
        assert mpota_process("patch", "make", "old", "new", out, cwd=files).returncode == 0
    assert (files / "one").read_bytes() == (files / "two").read_bytes()


@pytest.mark.parametrize(("old", "new"), [("empty", "new"), ("old", "empty"), ("empty", "empty")])
def test_empty_files_are_patched_too(files, old, new):
    assert mpota("patch", "make", old, new, "out").returncode == 0
    assert mpota("patch", "apply", old, "out", "result").returncode == 0
    assert (files / "result").read_bytes() == (files / new).read_bytes()


def test_signed_patch_is_applied_and_told_too(files, shelf, build):
    result = image.load(build("1.2.3"))[0]
    (files / "signed").write_bytes(patching.wrap((files / "patch").read_bytes(), result, keys.load_private(shelf / "image.pem")))
    with pytest.raises(ToolError, match="cannot be flashed"):
        esptool_.plan(board.load("esp8266", Path(__file__).parents[2] / "boards"), files / "signed")
    assert mpota_json("patch", "info", "signed") == mpota_json("patch", "info", "patch")
    assert mpota("patch", "apply", "old", "signed", "result").returncode == 0
    assert (files / "result").read_bytes() == NEW


def test_patch_is_signed_for_devices(files, shelf, build):
    old, new = (build(version, payload=files / name) for version, name in (("5.0.0", "old"), ("5.1.0", "new")))
    made = mpota("patch", "make", old, new, "out", "--state", "8192", "--key", shelf / "image.pem")
    found, data = image.load(files / "out")
    assert (found.flags, str(found.version)) == (image.NON_BOOTABLE, "5.1.0")
    assert made.stdout.startswith(f"out: {len(data)} bytes, ")
    assert mpota("image", "verify", "out", "--key", shelf / "image.pem").returncode == 0
    assert mpota("patch", "apply", old, "out", "result").returncode == 0
    assert (files / "result").read_bytes() == new.read_bytes()


def test_patch_that_no_device_would_take_is_not_signed(files, shelf, build):
    old, new = (build(version, payload=files / name) for version, name in (("5.0.0", "old"), ("5.1.0", "new")))
    other = build("5.0.0", "--product", "a2another", out=shelf / "another.bin", payload=files / "old")
    sign = ("out", "--key", shelf / "image.pem")
    assert refused("patch", "make", other, new, *sign) == f"{other}: of another product or board than {new}"
    assert refused("patch", "make", old, new, "out", "--key", shelf / "foreign.pem").startswith(f"{new}: signed by another key, ")
    assert refused("patch", "make", "old", new, *sign).startswith("old: ")
    assert mpota("patch", "make", old, new, *sign).returncode == 0
    (files / "out").rename(files / "signed")
    assert refused("patch", "make", "signed", new, *sign) == "signed: a patch, not an image to run"
    assert not (files / "out").exists()


def test_every_unusable_file_is_named(files):
    for command in (("make", "none", "new", "out"), ("make", "old", "none", "out"), ("apply", "none", "patch", "out"), ("apply", "old", "none", "out"), ("info", "none")):
        assert refused("patch", *command) == "none: No such file or directory"
    for command in (("make", ".", "new", "out"), ("make", "old", "new", "."), ("apply", ".", "patch", "out"), ("apply", "old", "patch", "."), ("info", ".")):
        assert refused("patch", *command) == ".: Is a directory"
    assert refused("patch", "make", "old", "new", "none/out") == "none/out: No such file or directory"
    for pair in (("old", "big"), ("big", "new")):
        assert refused("patch", "make", *pair, "out") == "big: larger than 16777216 bytes"
    assert refused("patch", "make", "/dev/zero", "new", "out") == "/dev/zero: larger than 16777216 bytes"
    assert not (files / "out").exists()


def test_file_that_may_not_be_read_is_named(files):
    (files / "old").chmod(0)
    script = "import os\nfrom mpota import storage\nif os.geteuid() == 0:\n    os.setuid(65534)\nstorage.read('old')"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.stderr.splitlines()[-1] == "mpota.errors.ToolError: old: Permission denied"


def test_wrong_base_damage_and_cuts_are_named(files):
    (files / "nonsense").write_bytes(random.Random(1).randbytes(500))
    for n in range(0, (files / "patch").stat().st_size, 7):
        (files / "cut").write_bytes((files / "patch").read_bytes()[:n])
        assert refused("patch", "apply", "old", "cut", "out") in ("cut: patch is cut short or too long", "cut: patch stream is damaged", "cut: the result's hash differs")
    (files / "long").write_bytes((files / "patch").read_bytes() + b"12345")
    assert refused("patch", "apply", "new", "patch", "out") == "patch: patch was made for another base"
    assert refused("patch", "apply", "old", "nonsense", "out") == "nonsense: not a patch"
    assert refused("patch", "apply", "old", "long", "out") == "long: patch is cut short or too long"
    assert refused("patch", "info", "old") == "old: not a patch"
    assert not (files / "out").exists()


def test_state_that_is_too_small_or_no_number_is_refused(files):
    assert refused("patch", "make", "old", "new", "out", "--state", "1000") == "--state: no patch can be decoded with 1000 bytes of state"
    for wrong in ("-5", "99999999999", "1k"):
        done = mpota("patch", "make", "old", "new", "out", "--state", wrong)
        assert done.returncode == 2 and f"{wrong} is not a number from 0 to 0xffffffff" in done.stderr
    assert mpota("patch", "make", "old", "new", "out", "--arch", "z80").returncode == 2


def test_full_disk_is_named_and_devices_and_links_stay_what_they_are(files):
    device = os.stat("/dev/full").st_rdev
    (files / "link").symlink_to("elsewhere")
    assert refused("patch", "make", "old", "new", "/dev/full") == "/dev/full: No space left on device"
    assert refused("patch", "apply", "old", "patch", "/dev/full") == "/dev/full: No space left on device"
    assert os.stat("/dev/full").st_rdev == device
    assert mpota("patch", "apply", "old", "patch", "link").returncode == 0
    assert (files / "link").is_symlink() and (files / "elsewhere").read_bytes() == NEW
    done = subprocess.run([sys.executable, "-m", "mpota", "patch", "apply", "old", "patch", "/dev/stdout"], capture_output=True, check=False)
    assert (done.stdout, done.stderr) == (NEW, b"/dev/stdout: %d bytes, hash is right\n" % len(NEW))


def test_missing_compiler_is_named(files):
    environment = {**os.environ, "PATH": "/nowhere", "MPOTA_BUILD": str(files / "build")}
    done = mpota_process("patch", "make", "old", "new", "out", env=environment)
    assert (done.returncode, done.stderr) == (1, "mpota: gcc: not found; on Debian: apt-get install build-essential\n")


def test_build_folder_that_cannot_be_made_is_named(files, monkeypatch):
    for folder, reason in (("new", "Not a directory"), ("/proc/none", "No such file or directory")):
        monkeypatch.setenv("MPOTA_BUILD", folder)
        patch._encoder.cache_clear()
        said = refused("patch", "make", "old", "new", "out")
        assert said.startswith(folder) and said.endswith(f": {reason}")


# ---- publishing


@pytest.fixture
def versions(build, tmp_path):
    """Images that a patch pays for (1.0.0, 1.0.1, 1.1.0), and one that has nothing of them (2.0.0)."""
    noise = random.Random(2).randbytes(len(NEW) * 4)
    payloads = {"1.0.0": OLD * 4, "1.0.1": OLD + NEW * 3, "1.1.0": NEW * 4, "2.0.0": noise}
    made = {}
    for version, payload in payloads.items():
        (tmp_path / f"{version}.payload").write_bytes(payload)
        made[version] = build(version, payload=tmp_path / f"{version}.payload", out=tmp_path / f"{version}.img")
    return made


@pytest.fixture
def patches(store, versions, shelf):
    """Makes the patches to a version for devices that run others; {base: patch}. What is told of others is in `patches.told`."""

    def patches(version, running, *bases, image_key="image.pem"):
        patches.told = []
        targets = [Device(PK, f"dev{i}", "secret", runs) for i, runs in enumerate(running)]
        signers = keys.load_private(shelf / image_key), keys.load_digest_key(shelf / "digest.pem")
        options = publish.PatchOptions(bases, 8192, "sha256")
        made = publish.prepare_patches(store, versions[version], targets, signers, options, patches.told.append)
        return {artifact.base: artifact for artifact in made}

    return patches


@pytest.fixture
def published(store, versions, shelf):
    """Publishes versions as images; only their files and the store's rows matter here."""

    def published(*names, patches=()):
        key = keys.load_digest_key(shelf / "digest.pem")
        for name in names:
            store.publish(publish.prepare(store.folder, versions[name], key), store.devices(), "https", patches)

    return published


def test_image_is_not_published_against_what_a_device_fetched_and_runs(store, build, published, versions, tmp_path):
    other_product = build("1.1.0", "--product", "another", out=tmp_path / "product.img")
    other_bytes = build("1.0.0", out=tmp_path / "bytes.img")
    store.add_device(PK, "dev02")
    told = []

    def fits(path):
        return [device.dn for device in publish.fitting(store, path, store.devices(), told.append)]

    def runs(version, **fields):
        store.save(replace(store.latest(PK, DN), state=rules.UPDATED, **fields))
        store.set_version(PK, DN, version)

    published("1.0.0")
    runs("1.0.0")  # it did before: not one byte is from here
    assert fits(other_product) == fits(other_bytes) == [DN, "dev02"] and not told
    runs("1.0.0", best=99)
    assert fits(versions["1.0.0"]) == fits(versions["1.1.0"]) == [DN, "dev02"] and not told
    assert fits(other_product) == fits(other_bytes) == ["dev02"]
    assert told == [f"{PK}/{DN} left out: it runs 1.0.0 of another product or board",
                    f"{PK}/{DN} left out: it runs another 1.0.0; a version is one image for good"]  # fmt: skip
    with pytest.raises(ToolError, match=re.escape(f"{other_bytes}: fits none of the devices")):
        publish.fitting(store, other_bytes, [store.device(PK, DN)], told.append)
    store.set_version(PK, DN, "0.9.0")  # flashed anew: nothing is known again
    assert fits(other_product) == fits(other_bytes) == [DN, "dev02"]


def test_patch_is_made_for_every_version_that_runs_and_is_known(patches, published, versions):
    published("1.0.0", "1.0.1")
    made = patches("1.1.0", ["1.0.0", "1.0.1", "1.0.1", "0.9.0", None, "1.1.0"])
    assert set(made) == {"1.0.0", "1.0.1"}
    for base, artifact in made.items():
        assert artifact.version == "1.1.0" and artifact.size < 2 / 3 * versions["1.1.0"].stat().st_size
    assert set(patches("1.1.0", ["1.0.0"])) == {"1.0.0"}


def test_served_patch_turns_the_base_into_the_target(store, patches, published, versions):
    published("1.0.0")
    artifact = patches("1.1.0", ["1.0.0"])["1.0.0"]
    bare = patching.unwrap((store.folder / "artifacts" / artifact.file).read_bytes(), artifact.file)
    assert patch.apply(versions["1.0.0"].read_bytes(), bare) == versions["1.1.0"].read_bytes()
    assert patch.info(bare)["state_bytes"] <= 8192


def test_base_can_be_an_image_that_was_never_published(patches, versions):
    assert patches("1.1.0", ["1.0.0"]) == {}
    assert set(patches("1.1.0", ["1.0.0"], versions["1.0.0"])) == {"1.0.0"}


def test_patch_above_two_thirds_of_the_image_is_not_sent(patches, published):
    published("1.0.0")
    assert patches("2.0.0", ["1.0.0"]) == {}
    assert "more than two thirds of the image" in patches.told[0]


def test_image_of_another_product_is_no_base(store, patches, published, build, tmp_path, shelf):
    published("1.0.0")
    other = build("1.0.0", "--product", "another", payload=tmp_path / "1.0.0.payload", out=tmp_path / "other.img")
    store.publish(publish.prepare(store.folder, other, keys.load_digest_key(shelf / "digest.pem")), [], "https")
    base = patches("1.1.0", ["1.0.0"])["1.0.0"]
    bare = patching.unwrap((store.folder / "artifacts" / base.file).read_bytes(), base.file)
    assert patch.info(bare)["base_sha256"] != hashlib.sha256(other.read_bytes()).hexdigest()


def test_patches_are_made_once(store, patches, published, monkeypatch):
    published("1.0.0")
    first = patches("1.1.0", ["1.0.0"])["1.0.0"]
    monkeypatch.setattr(patch, "make", None)
    again = patches("1.1.0", ["1.0.0"])["1.0.0"]
    assert again.size == first.size
    monkeypatch.setattr(patch.build, "digest", lambda: "another encoder")
    with pytest.raises(TypeError):
        patches("1.1.0", ["1.0.0"])


def test_kept_patch_that_was_damaged_is_made_again(store, patches, published):
    published("1.0.0")
    first = patches("1.1.0", ["1.0.0"])["1.0.0"]
    (kept,) = (store.folder / "patches").glob("*")
    good = kept.read_bytes()
    for bad in (b"", good[:-40], bytes(len(good)), good[:200] + bytes([good[200] ^ 1]) + good[201:]):
        kept.write_bytes(bad)
        assert patches("1.1.0", ["1.0.0"])["1.0.0"].size == first.size and kept.read_bytes() == good


def test_base_that_nobody_runs_is_told(patches, versions):
    assert patches("1.1.0", ["1.0.1", None], versions["1.0.0"]) == {}
    assert patches.told == ["no patch for 1.0.0: no device that is published to has told it runs that"]


def test_bases_that_cannot_be_meant_are_refused(patches, versions, build, tmp_path):
    payload = tmp_path / "1.0.1.payload"
    foreign = build("1.0.0", "--product", "another", payload=payload, out=tmp_path / "foreign.img")
    double = build("1.0.0", payload=payload, out=tmp_path / "double.img")
    with pytest.raises(ToolError, match="foreign.img: of another product or board"):
        patches("1.1.0", ["1.0.0"], foreign)
    with pytest.raises(ToolError, match="double.img: another 1.0.0 than .*1.0.0.img"):
        patches("1.1.0", ["1.0.0"], versions["1.0.0"], double)
    assert set(patches("1.1.0", ["1.0.0"], versions["1.0.0"], versions["1.0.0"])) == {"1.0.0"}


def test_key_that_did_not_sign_the_image_signs_no_patch_to_it(patches, published):
    published("1.0.0")
    with pytest.raises(ToolError, match="1.1.0.img: signed by another key"):
        patches("1.1.0", ["1.0.0"], image_key="digest.pem")


def test_patch_is_no_image_to_publish_nor_a_base(store, patches, published, versions, shelf):
    published("1.0.0")
    served = store.folder / "artifacts" / patches("1.1.0", ["1.0.0"])["1.0.0"].file
    key = keys.load_digest_key(shelf / "digest.pem")
    with pytest.raises(ToolError, match="a patch, not an image"):
        publish.prepare(store.folder, served, key)
    with pytest.raises(ToolError, match="a patch, not an image"):
        patches("1.1.0", ["1.0.0"], served)


def test_served_image_that_was_damaged_is_passed_over(store, patches, published, versions):
    published("1.0.0")
    served = store.folder / "artifacts" / store.images("1.0.0")[0].file
    served.write_bytes(served.read_bytes()[:1000])
    assert patches("1.1.0", ["1.0.0"]) == {} and "cut short" in patches.told[0]


def test_patch_that_cannot_be_made_for_so_little_state_is_refused(store, versions, published, shelf):
    published("1.0.0")
    signers = keys.load_private(shelf / "image.pem"), keys.load_digest_key(shelf / "digest.pem")
    store.set_version(PK, DN, "1.0.0")
    with pytest.raises(ToolError, match="no patch can be decoded with 1000 bytes of state"):
        publish.prepare_patches(store, versions["1.1.0"], store.devices(), signers, publish.PatchOptions((), 1000, "sha256"), print)


# ---- serving


@pytest.fixture
def service(store, patches, published):
    published("1.0.0")
    published("1.1.0", patches=patches("1.1.0", ["1.0.0"]).values())
    return Service(store, lambda artifact, scheme: artifact.file)


def told(service, kind, **params):
    """Whether the upgrade that answers a device's message is a patch; None if it is told nothing."""
    outgoing, _ = service.receive(messages.topic(kind, PK, DN), json.dumps({"params": params}).encode(), NOW)
    outgoing += service.poll(NOW)[0]
    return [json.loads(message.payload)["data"].get("isDiff") == 1 for message in outgoing]


def test_device_gets_the_patch_for_what_it_informed_and_else_the_image(service):
    assert told(service, "inform", version="1.0.0") == [True]
    assert told(service, "inform", version="0.9.0") == [False]
    assert told(service, "inform", version="1.0.0") == [True]


def test_refusal_of_a_patch_told_twice_is_not_the_images(service, store):
    """The device did not hear that the first was taken."""
    assert told(service, "inform", version="1.0.0") == [True]
    assert told(service, "progress", step=-1, desc="1073") == [False]
    assert told(service, "progress", step=-1, desc="1073") == []
    assert store.latest(PK, DN).state == rules.NOTIFIED
    told(service, "progress", step=-3, desc="1005")
    assert store.latest(PK, DN).state == rules.FAILED


def test_download_without_a_url_is_of_what_the_device_was_told(service, store):
    (artifact,) = store.images("1.1.0")
    image, diff = artifact.file, store.patch(artifact.id, "1.0.0").file
    assert coapserver.target(store, PK, DN) == image, "it asks before it was told"
    told(service, "inform", version="1.0.0")
    assert coapserver.target(store, PK, DN) == diff
    told(service, "progress", step=-1, desc="1073")
    assert coapserver.target(store, PK, DN) == image
    told(service, "inform", version="1.1.0")
    assert coapserver.target(store, PK, DN) is None


@pytest.mark.parametrize("code", [1070, 1071, 1072, 1073, 1074, 1075, 1005, 1007, 1031, 1050])
def test_refusal_of_a_patch_is_answered_with_the_image(service, store, code):
    told(service, "inform", version="1.0.0")
    assert told(service, "progress", step=-1, desc=str(code)) == [False]
    assert told(service, "inform", version="1.0.0") == [False], "the patch is not tried again"
    assert store.latest(PK, DN).state in rules.OPEN
    assert told(service, "progress", step=-1, desc="1007") == []
    assert store.latest(PK, DN).state == rules.FAILED, "what refuses the image ends the update"


def test_image_in_place_of_a_patch_has_all_its_attempts(service, store):
    told(service, "inform", version="1.0.0")
    for _ in range(rules.MAX_FAILURES - 1):
        told(service, "progress", step=-2, desc="1043")
        service.poll(NOW + rules.RETRY_S)
    assert told(service, "progress", step=-2, desc="1043") == [False]
    for _ in range(rules.MAX_FAILURES - 1):
        told(service, "progress", step=-2, desc="1043")
        assert store.latest(PK, DN).state in rules.OPEN
        service.poll(NOW + rules.RETRY_S)
    told(service, "progress", step=-2, desc="1043")
    assert store.latest(PK, DN).state == rules.FAILED
