"""Devices, artifacts and the outcome of every update, in SQLite."""
# SPDX-License-Identifier: MIT

import contextlib
import json
import secrets
import sqlite3
import time
from collections import Counter
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path

from mpota import linkkit, running, storage
from mpota.errors import ToolError
from mpota.rules import FAILED, HELD, LONGEST_S, NOTIFIED, OPEN, PENDING, REPLACED, SILENT_S, UPDATED, WAITING, WITHDRAWN, Update

FORMAT = 3
ASIDE = (HELD, REPLACED, WITHDRAWN)  # others are held for the updates in all other states; as text it is SQL
BUSY_S = 60  # that another process may keep us from reading or writing
MAKING_S = 1
_TABLES = """
CREATE TABLE product (pk TEXT PRIMARY KEY, secret TEXT NOT NULL);
CREATE TABLE device (
    pk TEXT NOT NULL REFERENCES product, dn TEXT NOT NULL, secret TEXT NOT NULL, version TEXT,
    PRIMARY KEY (pk, dn));
CREATE TABLE artifact (
    id INTEGER PRIMARY KEY, file TEXT NOT NULL, size INTEGER NOT NULL, version TEXT NOT NULL,
    method TEXT NOT NULL, digest TEXT NOT NULL, digestsign TEXT NOT NULL,
    base TEXT NOT NULL, result INTEGER NOT NULL);
"""
_UPDATES = f"""
CREATE TABLE "update" (
    id INTEGER PRIMARY KEY AUTOINCREMENT, pk TEXT NOT NULL, dn TEXT NOT NULL, artifact INTEGER NOT NULL REFERENCES artifact,
    version TEXT NOT NULL, scheme TEXT NOT NULL, state TEXT NOT NULL, step INTEGER NOT NULL, desc TEXT NOT NULL,
    best INTEGER NOT NULL, failures INTEGER NOT NULL, silent INTEGER NOT NULL, restarts INTEGER NOT NULL, patches INTEGER NOT NULL,
    sent_patch INTEGER NOT NULL, due REAL, at REAL NOT NULL, soak REAL NOT NULL,
    FOREIGN KEY (pk, dn) REFERENCES device);
CREATE INDEX update_of_device ON "update" (pk, dn, id);
CREATE INDEX update_of_artifact ON "update" (artifact);
CREATE INDEX update_due ON "update" (due) WHERE due IS NOT NULL;
CREATE INDEX update_held ON "update" (artifact) WHERE state = '{HELD}';
PRAGMA user_version = {FORMAT};
"""
_KEPT = "id, pk, dn, artifact, version, scheme, state, step, desc, best, failures, silent, restarts, patches, sent_patch, due"
_FROM_2 = f"""
ALTER TABLE "update" RENAME TO former;
DROP INDEX update_of_device;
DROP INDEX IF EXISTS update_of_artifact;
DROP INDEX IF EXISTS update_due;
{_UPDATES}
INSERT INTO "update" ({_KEPT}, at, soak) SELECT {_KEPT}, 0, 0 FROM former;
DROP TABLE former;
"""
_LATEST = 'id IN (SELECT max(id) FROM "update" GROUP BY pk, dn)'


@dataclass(frozen=True)
class Device:
    """A device that may log in. `version` is what it last said it runs."""

    pk: str
    dn: str
    secret: str
    version: str | None = None

    @property
    def name(self):
        """Both names as commands take them."""
        return f"{self.pk}/{self.dn}"


@dataclass(frozen=True)
class Artifact:
    """A file that is served, with what the upgrade message says of it."""

    id: int
    file: str
    size: int
    version: str
    method: str  # SHA256 or Md5, as the cloud spells them
    digest: str
    digestsign: str
    base: str = ""  # a patch: the version it turns into this one
    result: int = 0  # a patch: the artifact that is its result

    @property
    def is_patch(self):
        """True for a patch."""
        return bool(self.result)


class Store:
    """The database `mpota.db` in the state folder. Every method is one transaction, or part of transaction()."""

    def __init__(self, folder, create=False):
        self.folder = Path(folder)
        self.path = self.folder / "mpota.db"
        if create:
            storage.make_folder(self.folder, 0o700)
        elif not self.path.is_file():
            raise ToolError(folder, "no state here yet: `mpota device add` makes it")
        is_new = storage.make_private(self.path)
        with self._errors():
            self._db = sqlite3.connect(self.path, timeout=BUSY_S, isolation_level=None)
            self._db.row_factory = sqlite3.Row
            self._db.execute("PRAGMA foreign_keys = ON")
        if is_new:
            self._make()
        elif not self._format():
            time.sleep(MAKING_S)  # another process may have made the file just now
        found = self._format()
        if found == 2:
            found = self._bring_up()
        if not found:
            raise ToolError(self.path, "empty; without this file there is no state, and a new one can be made")
        if found != FORMAT:
            raise ToolError(self.path, f"state of format {found}, this is mpota for format {FORMAT}")

    def _format(self):
        return self._all("PRAGMA user_version")[0][0]

    def _make(self):
        try:
            self._run(_TABLES + _UPDATES)
        except ToolError:
            self.path.unlink()
            raise

    def _bring_up(self):
        """From format 2; returns the one there is now."""
        if running.is_running(self.folder):
            raise ToolError(self.path, "in use by a server of an older mpota; restart it with this one first")
        with self.transaction():
            if self._format() == 2:  # another process may have done it just now
                self._run(_FROM_2)
            return self._format()

    def _run(self, statements):
        with self.transaction() as db:
            for statement in statements.split(";"):
                db.execute(statement)

    @contextlib.contextmanager
    def _errors(self):
        try:
            yield
        except sqlite3.Error as error:
            raise ToolError(self.path, str(error)) from error

    @contextlib.contextmanager
    def transaction(self):
        """What is done within it is written together or not at all."""
        if self._db.in_transaction:
            yield self._db
            return
        with self._errors():
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield self._db
                self._db.execute("COMMIT")
            except BaseException:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise

    def _all(self, query, *values):
        with self._errors():
            return self._db.execute(query, values).fetchall()

    def close(self):
        """Closes the database."""
        self._db.close()

    def changed_by_others(self):
        """A number that changes whenever another process has written."""
        return self._all("PRAGMA data_version")[0][0]

    def add_device(self, pk, dn, secret=None, product_secret=None):
        """Makes a device; secrets that are not given are drawn. A product has one secret."""
        linkkit.check_names(pk, dn)
        for name, value in (("--secret", secret), ("--product-secret", product_secret)):
            if value is not None:
                linkkit.check_secret(name, value)
        with self.transaction() as db:
            self._add_product(db, pk, product_secret)
            device = Device(pk, dn, secret or secrets.token_hex(16))
            if db.execute("SELECT 1 FROM device WHERE pk = ? AND dn = ?", (pk, dn)).fetchone():
                raise ToolError(device.name, "device is there already")
            db.execute("INSERT INTO device (pk, dn, secret) VALUES (?, ?, ?)", (pk, dn, device.secret))
        return device

    def remove_device(self, pk, dn):
        """Forgets a device and its updates."""
        device = self.device(pk, dn)
        with self._taking_back([device]) as (db, _):
            for table in ("update", "device"):
                db.execute(f'DELETE FROM "{table}" WHERE pk = ? AND dn = ?', (pk, dn))
        return device

    def _add_product(self, db, pk, secret):
        row = db.execute("SELECT secret FROM product WHERE pk = ?", (pk,)).fetchone()
        if row is None:
            db.execute("INSERT INTO product VALUES (?, ?)", (pk, secret or secrets.token_hex(16)))
        elif secret is not None and secret != row["secret"]:
            raise ToolError(pk, "product has another secret")

    def product_secret(self, pk):
        """The secret all devices of a product share."""
        rows = self._all("SELECT secret FROM product WHERE pk = ?", pk)
        if not rows:
            raise ToolError(pk, "no such product")
        return rows[0]["secret"]

    def devices(self, pk=None):
        """All devices, or those of one product."""
        rows = self._all("SELECT * FROM device WHERE ?1 IS NULL OR pk = ?1 ORDER BY pk, dn", pk)
        return [Device(**row) for row in rows]

    def device(self, pk, dn):
        """One device."""
        rows = self._all("SELECT * FROM device WHERE pk = ? AND dn = ?", pk, dn)
        if not rows:
            raise ToolError(f"{pk}/{dn}", "no such device")
        return Device(**rows[0])

    def set_version(self, pk, dn, version):
        """Notes what a device says it runs; False if there is no such device."""
        with self.transaction() as db:
            query = "UPDATE device SET version = ? WHERE pk = ? AND dn = ?"
            return db.execute(query, (version, pk, dn)).rowcount == 1

    def publish(self, artifact, devices, scheme, patches=(), held=(), soak=0):
        """Makes `artifact` (its id is ignored) the target of the devices, in place of what is pending there, of the `held` ones not before
        the devices have run it for `soak` seconds; `patches` lead to it. Returns the updates' ids."""
        with self._taking_back([*devices, *held]) as (db, _):
            number = self._add_artifact(db, artifact)
            for patch in patches:
                self._add_artifact(db, replace(patch, result=number))
            told = Update(0, "", "", number, artifact.version, scheme, at=time.time(), soak=soak)
            updates = [replace(told, pk=device.pk, dn=device.dn) for device in devices]
            updates += [replace(told, pk=device.pk, dn=device.dn, state=HELD, due=None) for device in held]
            return [self._replace_target(db, update) for update in updates]

    def _add_artifact(self, db, artifact):
        return db.execute(_insert("artifact", Artifact), {**asdict(artifact), "id": None}).lastrowid

    def _replace_target(self, db, update):
        query = f'UPDATE "update" SET state = ?, due = NULL, at = ? WHERE pk = ? AND dn = ? AND state IN ({_marks(PENDING)})'
        db.execute(query, (REPLACED, update.at, update.pk, update.dn, *PENDING))
        return db.execute(_insert("update", Update), {**asdict(update), "id": None}).lastrowid

    def withdraw(self, devices):
        """Ends what is pending for the devices, and what is held for it; returns the ids of those updates."""
        query = f'UPDATE "update" SET state = ?, due = NULL, at = ? WHERE pk = ? AND dn = ? AND state IN ({_marks(PENDING)}) RETURNING id'
        with self._taking_back(devices) as (db, withdrawn):
            for device in devices:
                withdrawn += [row["id"] for row in db.execute(query, (WITHDRAWN, time.time(), device.pk, device.dn, *PENDING)).fetchall()]
        return withdrawn

    @contextlib.contextmanager
    def _taking_back(self, devices):
        """A transaction that ends what the devices were told. What is held until they have run it and still is so afterwards is withdrawn,
        as nobody would release it; gives the database and the list that gets the ids of those updates."""
        told = f'SELECT artifact FROM "update" WHERE pk = ? AND dn = ? AND state NOT IN {ASIDE}'
        withdrawn = []
        with self.transaction() as db:
            artifacts = {row["artifact"] for device in devices for row in db.execute(told, (device.pk, device.dn))}
            yield db, withdrawn
            for artifact in artifacts:
                query = 'UPDATE "update" SET state = ?, at = ? WHERE artifact = ? AND state = ? RETURNING id'
                withdrawn += [row["id"] for row in db.execute(query, (WITHDRAWN, time.time(), artifact, HELD)).fetchall()]

    def release(self, now, since):
        """Holds back no longer what has been proved by all that were told first: they run it, and have for as long as was asked, of which
        nothing is said before the server, which is there `since` then, has had time to hear of them. Returns how many of each version."""
        proved = f"""SELECT artifact FROM "update" WHERE artifact IN (SELECT artifact FROM "update" WHERE state = '{HELD}')
            AND state NOT IN {ASIDE} GROUP BY artifact
            HAVING min(state = '{UPDATED}' AND (soak = 0 OR (at + soak <= ?1 AND ?2 <= max(at, ?1 - {SILENT_S}))))"""
        if not self._all(proved, now, since):
            return {}
        free = f"""UPDATE "update" SET state = '{WAITING}', silent = 0, restarts = 0, due = 0, at = ?1
            WHERE state = '{HELD}' AND artifact IN ({proved}) RETURNING version"""
        return Counter(row["version"] for row in self._all(free, now, since))

    def not_answering(self, held, version, now):
        """An update to the artifact of `held` that was told first and to which no answer has come for long, rather of a device that runs
        `version`. None if there is none, if one of the first has failed, or if as many have been found as are told and `held` is none
        of them."""
        query = f"""SELECT u.* FROM "update" u JOIN device d USING (pk, dn) WHERE artifact = ?1
            AND state = '{NOTIFIED}' AND due IS NULL AND best < 0 AND patches AND NOT (?4 - {SILENT_S} < at AND at <= ?4)
            AND (SELECT (?2 OR sum(state IN {ASIDE} AND silent) < sum(state NOT IN {ASIDE})) AND NOT max(state = '{FAILED}')
                FROM "update" WHERE artifact = ?1)
            ORDER BY d.version IS NOT ?3, u.id LIMIT 1"""
        rows = self._all(query, held.artifact, held.silent, version, now)
        return Update(**rows[0]) if rows else None

    def artifact(self, number):
        """The artifact with this id."""
        return Artifact(**self._all("SELECT * FROM artifact WHERE id = ?", number)[0])

    def patch(self, result, base):
        """The patch from version `base` to the artifact `result`, or None."""
        rows = self._all("SELECT * FROM artifact WHERE result = ? AND base = ?", result, base)
        return Artifact(**rows[0]) if rows else None

    def images(self, version):
        """The images of a version that were published, newest first."""
        rows = self._all("SELECT * FROM artifact WHERE result = 0 AND version = ? ORDER BY id DESC", version)
        return [Artifact(**row) for row in rows]

    def updates(self, numbers):
        """The updates with these ids, but those of devices that have been removed."""
        rows = self._all('SELECT * FROM "update" WHERE id IN (SELECT value FROM json_each(?)) ORDER BY id', json.dumps(numbers))
        return [Update(**row) for row in rows]

    def save(self, update):
        """Writes an update back, unless it has been replaced meanwhile, or withdrawn and has not come to its end nevertheless; returns
        whether it has."""
        columns = ", ".join(f"{field.name} = :{field.name}" for field in fields(Update))
        with self.transaction() as db:
            over = f"state = '{REPLACED}' OR (state = '{WITHDRAWN}' AND :state NOT IN ('{UPDATED}', '{FAILED}'))"
            return db.execute(f'UPDATE "update" SET {columns} WHERE id = :id AND NOT ({over})', asdict(update)).rowcount == 1

    def latest(self, pk, dn):
        """A device's newest update, or None."""
        rows = self._all('SELECT * FROM "update" WHERE pk = ? AND dn = ? ORDER BY id DESC LIMIT 1', pk, dn)
        return Update(**rows[0]) if rows else None

    def history(self, pk, dn):
        """A device's updates, newest first."""
        rows = self._all('SELECT * FROM "update" WHERE pk = ? AND dn = ? ORDER BY id DESC', pk, dn)
        return [Update(**row) for row in rows]

    def targets(self):
        """The newest update of every device that has one."""
        return [Update(**row) for row in self._all(f'SELECT * FROM "update" WHERE {_LATEST} ORDER BY pk, dn')]

    def due(self, now, limit):
        """The updates whose time to be told has come (rules.is_due), `limit` at most, of devices that have been heard of. Only a
        device's newest one is open."""
        query = f"""SELECT * FROM "update" WHERE (due <= ? OR due > ?) AND state IN ({_marks(OPEN)})
            AND EXISTS (SELECT 1 FROM device d WHERE d.pk = "update".pk AND d.dn = "update".dn AND version IS NOT NULL) LIMIT ?"""
        return [Update(**row) for row in self._all(query, now, now + LONGEST_S, *OPEN, limit)]


def _marks(values):
    return ", ".join("?" * len(values))


def _insert(table, kind):
    names = [field.name for field in fields(kind)]
    return f'INSERT INTO "{table}" ({", ".join(names)}) VALUES ({", ".join(":" + name for name in names)})'
