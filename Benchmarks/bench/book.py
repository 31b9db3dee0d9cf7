"""All runs so far, in a JSON file if one is named: written after each, so a stopped benchmark can continue."""

import hashlib
import json
import os

import machine
from failure import Failure


class Book:
    def __init__(self, path, append, mule):
        self._path = path
        build = hashlib.sha256(mule.read_bytes()).hexdigest()[:16] if mule.exists() else None
        self.facts = {"machine": machine.describe(), "mule": build, "clients": {}, "runs": []}
        if path and path.exists():
            if not append:
                raise Failure(f"{path} already exists; --append continues it")
            old = json.loads(path.read_text())
            # Figures of different machines or builds must not be compared.
            for name in ("machine", "mule"):
                if old.get(name) != self.facts[name]:
                    raise Failure(f"the {name} of {path} is another; name a new file")
            self.facts = old

    @property
    def runs(self):
        return self.facts["runs"]

    def introduce(self, clients):
        for client in clients:
            self.facts["clients"][client.name] = {"version": client.version, "note": client.note, "floor": client.floor}
        self._write()

    def has(self, identity, number):
        return any(run["identity"] == identity and run["round"] == number for run in self.runs)

    def longest(self, identity):
        """Maximum seconds of such runs so far, None without any."""
        return max((run["took"] for run in self.runs if run["identity"] == identity), default=None)

    def add(self, identity, number, counts, record):
        self.runs.append({"identity": identity, "round": number, "counts": counts, **record})
        self._write()

    def _write(self):
        if not self._path:
            return
        unfinished = self._path.with_name(self._path.name + ".new")
        unfinished.write_text(json.dumps(self.facts, indent=1) + "\n")
        os.replace(unfinished, self._path)


def read(path):
    try:
        return json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise Failure(f"{path}: {error}") from error
