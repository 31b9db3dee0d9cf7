#!/usr/bin/env python3
"""Prints the table "features by server" of docs/stores.md: runs mule against each real server and looks at the objects.

    features.py MULE DIR [SERVER ...]

A cell says what happened: `yes` if mule exits with 0 and the server holds what was asked for, `dropped` if the server
took the request and holds nothing of it, `refused` with the code of the server, or mule's exit status.
"""
import contextlib
import hashlib
import http.client
import json
import os
import pathlib
import shlex
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
import urllib.parse
import xml.etree.ElementTree

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).parent))
from s3client import Store

HERE = pathlib.Path(__file__).parent
NAMES = {"swift": "Swift", "localstack": "LocalStack", "rclone": "rclone", "moto": "moto"}
PARTS = ["--part-size", "5MiB", "--multipart-threshold", "5MiB"]
MINUTE = 60


class Server:
    """A running server, mule with its keys, and a home that each test throws away."""

    def __init__(self, name, mule, folder):
        self.name, self.mule, self.folder = name, mule, folder / f"table-{name}"
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        line = subprocess.run(
            [HERE / "s3server", "start", name, folder], stdout=subprocess.PIPE, text=True, check=True
        ).stdout
        known = dict(word.split("=", 1) for word in shlex.split(line))
        self.bucket = known["BUCKET"]
        self.store = Store(known["ENDPOINT"], known["ACCESS_KEY"], known["SECRET_KEY"], known["REGION"])
        self.keys = {
            "AWS_ENDPOINT_URL": known["ENDPOINT"], "AWS_ACCESS_KEY_ID": known["ACCESS_KEY"],
            "AWS_SECRET_ACCESS_KEY": known["SECRET_KEY"], "AWS_REGION": known["REGION"],
        }
        self.count = 0
        self.small = self.file("small.html", 1000)
        self.large = self.file("large.bin", 12 << 20)

    def file(self, name, size):
        path = self.folder / name
        path.write_bytes(os.urandom(size))
        return str(path)

    def home(self):
        self.count += 1
        home = self.folder / f"home{self.count}"
        home.mkdir(exist_ok=True)
        return home

    def environment(self, home, **more):
        return {"PATH": os.environ["PATH"], "HOME": str(home), **self.keys, **more}

    def run(self, *words, home=None, keys=True, **more):
        environment = self.environment(home or self.home(), **more)
        if not keys:
            for name in self.keys:
                del environment[name]
        return subprocess.run(
            [self.mule, *words, *(["--stall-limit", "60s"] if words[0] in ("upload", "resume") else [])],
            env=environment, capture_output=True, text=True, timeout=10 * MINUTE
        )

    def head(self, key, query=None, **headers):
        answer = self.store.request("HEAD", f"/{self.bucket}/{key}", query, headers)
        return {name.lower(): value for name, value in answer.headers.items()} if answer.status == 200 else {}

    def digest(self, key, size):
        content = b"".join(
            self.store.read(self.bucket, key, place, min(8 << 20, size - place)) for place in range(0, size, 8 << 20)
        )
        return hashlib.sha256(content).hexdigest()

    def holds(self, key, path):
        content = pathlib.Path(path).read_bytes()
        return self.digest(key, len(content)) == hashlib.sha256(content).hexdigest()


def failure(outcome):
    """The cell for a run that did not exit with 0."""
    text = (outcome.stdout + outcome.stderr).strip().replace("\n", " ")
    print(f"    exit {outcome.returncode}: {text[-400:]}", file=sys.stderr)
    if "ignores the customer key" in text:
        return "refused by mule"
    code = next((word for word in CODES if word in text), None)
    return f"refused ({code})" if code else f"status {outcome.returncode}"


CODES = [
    "NotImplemented", "AccessDenied", "InvalidArgument", "InvalidRequest", "InvalidStorageClass", "MalformedXML",
    "NoSuchKey", "KMS.NotFoundException", "InvalidBucketState", "ObjectLockConfigurationNotFoundError", "InternalError",
]


def option(words, header, expected=None, path="small", bucket=None):
    """Uploads with options; the object must have a header."""

    def test(server):
        key = f"option{server.count}"
        place = bucket(server) if bucket else server.bucket
        if place is None:
            return "no Object Lock"
        outcome = server.run("upload", *words, getattr(server, path), f"{place}/{key}", *(PARTS if path == "large" else []))
        if outcome.returncode:
            return failure(outcome)
        found = {
            name.lower(): value
            for name, value in server.store.request("HEAD", f"/{place}/{key}").headers.items()
        }.get(header)
        if found is None:
            return "dropped"
        return "yes" if expected is None or expected in found else f"other ({found})"

    return test


def locked_bucket(server):
    name = "mule-locked"
    answer = server.store.request("PUT", f"/{name}", headers={"x-amz-bucket-object-lock-enabled": "true"})
    lock = server.store.request("GET", f"/{name}", {"object-lock": ""})
    return name if answer.status in (200, 409) and lock.status == 200 and b"Enabled" in lock.body else None


def rung(path):
    def test(server):
        home = server.home()
        outcome = server.run("upload", getattr(server, path), f"{server.bucket}/rung-{path}", *PARTS, home=home)
        if outcome.returncode:
            return failure(outcome)
        with contextlib.closing(sqlite3.connect(next(home.rglob("*.sqlite")))) as ledger:
            facts = dict(ledger.execute("SELECT name, value FROM facts"))
            row = ledger.execute("SELECT integrity, checksum_algorithm, checksum_type FROM uploads").fetchone()
        found = row[0] or facts.get("protection") or "?"
        return found.replace("payload", "signed payload").split("/")[0].rstrip("?")

    return test


def tagged(server):
    outcome = server.run("upload", "--tag", "team=ops", server.small, f"{server.bucket}/tagged")
    if outcome.returncode:
        return failure(outcome)
    answer = server.store.request("GET", f"/{server.bucket}/tagged", {"tagging": ""})
    return "yes" if b"<Value>ops</Value>" in answer.body else "dropped"


def decides(server, key, path):
    """Whether the store itself keeps an object that exists, at PutObject or at CompleteMultipartUpload."""
    place, condition = f"/{server.bucket}/{key}", {"If-None-Match": "*"}
    if path == "small":
        return server.store.request("PUT", place, headers=condition, body=b"other").status == 412
    created = server.store.request("POST", place, {"uploads": ""})
    upload = xml.etree.ElementTree.fromstring(created.body).findtext("{*}UploadId")
    part = server.store.request("PUT", place, {"partNumber": "1", "uploadId": upload}, body=b"other")
    tag = next(value for name, value in part.headers.items() if name.lower() == "etag")
    text = f"<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>{tag}</ETag></Part></CompleteMultipartUpload>"
    answer = server.store.request("POST", place, {"uploadId": upload}, condition, text.encode())
    if answer.status != 200:
        server.store.abort(server.bucket, key, upload)
    return answer.status == 412


def not_replaced(path):
    def test(server):
        key = f"kept-{path}"
        place = f"{server.bucket}/{key}"
        first = server.run("upload", getattr(server, path), place, *PARTS)
        other = server.file(f"other-{path}", os.path.getsize(getattr(server, path)))
        second = server.run("upload", "--no-overwrite", other, place, *PARTS)
        if first.returncode or second.returncode != 7:
            return failure(second if not first.returncode else first)
        if not server.holds(key, getattr(server, path)):
            return "REPLACED"
        return "yes" if decides(server, key, path) else "by a look"

    return test


def matched(server):
    key = f"{server.bucket}/matched"
    first = server.run("upload", server.small, key)
    tag = server.head("matched").get("etag", "").strip('"')
    wrong = server.run("upload", "--if-match", "0" * 32, server.file("wrong", 2000), key)
    right = server.run("upload", "--if-match", tag, server.file("right", 3000), key)
    if first.returncode or right.returncode:
        return failure(first if first.returncode else right)
    return "yes" if wrong.returncode == 7 else failure(wrong)


def customer_key(server):
    key = server.folder / "customer.key"
    key.write_bytes(os.urandom(32))
    outcome = server.run("upload", "--sse-c-key-file", str(key), server.large, f"{server.bucket}/sse-c", *PARTS)
    if outcome.returncode:
        return failure(outcome)
    if server.head("sse-c"):
        return "dropped"
    proven = server.run("verify", "--sse-c-key-file", str(key), "--download", server.large, f"{server.bucket}/sse-c")
    return "yes" if proven.returncode == 0 else failure(proven)


def wrong_owner(server):
    outcome = server.run("upload", "--expected-bucket-owner", "999999999999", server.small, f"{server.bucket}/owner")
    return "yes" if outcome.returncode == 4 else "not checked" if outcome.returncode == 0 else failure(outcome)


def presigned(server):
    made = server.run("presign", "put", f"{server.bucket}/presigned", "--expires", "10m")
    if made.returncode:
        return failure(made)
    url = server.folder / "url"
    url.write_text(made.stdout)
    sent = server.run("upload", server.small, "--url-file", str(url), keys=False)
    if sent.returncode:
        return failure(sent)
    address = urllib.parse.urlsplit(server.run("presign", "get", f"{server.bucket}/presigned").stdout.strip())
    link = http.client.HTTPConnection(address.netloc)
    link.request("GET", f"{address.path}?{address.query}")
    content = link.getresponse().read()
    return "yes" if content == pathlib.Path(server.small).read_bytes() else "GET differs"


def killed(server, words, home, path, key):
    """Uploads slowly and kills mule after a few parts."""
    run = subprocess.Popen(
        [server.mule, "upload", *words, path, f"{server.bucket}/{key}", *PARTS, "--limit-rate", "10MB/s", "-j", "2"],
        env=server.environment(home), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + MINUTE
    while time.monotonic() < deadline and run.poll() is None:
        time.sleep(0.1)
        with contextlib.suppress(StopIteration, sqlite3.OperationalError, TypeError):
            with contextlib.closing(sqlite3.connect(f"file:{next(home.rglob('*.sqlite'))}?mode=ro", uri=True)) as ledger:
                if ledger.execute("SELECT max(parts_done) FROM uploads").fetchone()[0] >= 2:
                    break
    run.send_signal(signal.SIGKILL)
    run.wait()


def resumed(server):
    home, path = server.home(), server.file("resumed.bin", 40 << 20)
    killed(server, [], home, path, "resumed")
    outcome = server.run("resume", "--json", home=home)
    if outcome.returncode:
        return failure(outcome)
    events = [json.loads(line) for line in outcome.stdout.splitlines()]
    skipped = next(event["bytesSkipped"] for event in events if event["event"] == "completed")
    return f"yes" if skipped > 0 and server.holds("resumed", path) else "SENT AGAIN"


def verified(server):
    outcome = server.run("upload", server.large, f"{server.bucket}/verified", *PARTS)
    plain = server.run("verify", server.large, f"{server.bucket}/verified")
    whole = server.run("verify", "--download", server.large, f"{server.bucket}/verified")
    changed = server.run("verify", "--download", server.file("changed", 12 << 20), f"{server.bucket}/verified")
    if outcome.returncode or whole.returncode or changed.returncode != 6:
        return failure(whole)
    return "yes" if plain.returncode == 0 else "by download"


def adopted(server):
    home, path = server.home(), server.file("adopted.bin", 40 << 20)
    killed(server, [], home, path, "adopted")
    outcome = server.run("adopt", path, f"{server.bucket}/adopted")
    if outcome.returncode:
        return failure(outcome)
    return "yes" if server.holds("adopted", path) else "DIFFERS"


def cleaned(server):
    home, path = server.home(), server.file("cleaned.bin", 40 << 20)
    killed(server, [], home, path, "cleaned")
    outcome = server.run("clean", "--older-than", "0s", "--yes", f"{server.bucket}/", home=home)
    if outcome.returncode:
        return failure(outcome)
    left = [key for key, _ in server.store.open_uploads(server.bucket) if key == "cleaned"]
    return "yes" if not left else "LEFT"


def examined(server):
    outcome = server.run("doctor", "--write", server.bucket)
    print(outcome.stdout, file=sys.stderr)
    return "yes" if outcome.returncode == 0 else failure(outcome)


FEATURES = [
    ("checksum, one request", rung("small")),
    ("checksum, parts", rung("large")),
    ("kill, resume", resumed),
    ("verify", verified),
    ("adopt", adopted),
    ("clean", cleaned),
    ("`doctor --write`", examined),
    ("`--no-overwrite`, one request", not_replaced("small")),
    ("`--no-overwrite`, parts", not_replaced("large")),
    ("`--if-match`", matched),
    ("Content-Type", option([], "content-type", "text/html")),
    ("`--metadata`", option(["--metadata", "colour=blue"], "x-amz-meta-colour", "blue")),
    ("`--cache-control`", option(["--cache-control", "max-age=60"], "cache-control", "max-age=60")),
    ("`--content-disposition`", option(["--content-disposition", "attachment"], "content-disposition", "attachment")),
    ("`--expires`", option(["--expires", "2030-01-31"], "expires", "2030")),
    ("`--tag`", tagged),
    ("`--storage-class STANDARD_IA`", option(["--storage-class", "STANDARD_IA"], "x-amz-storage-class", "STANDARD_IA")),
    ("`--website-redirect`", option(["--website-redirect", "/x"], "x-amz-website-redirect-location", "/x")),
    ("`--sse AES256`", option(["--sse", "AES256"], "x-amz-server-side-encryption", "AES256", "large")),
    ("`--sse aws:kms`", option(["--sse", "aws:kms"], "x-amz-server-side-encryption", "aws:kms", "large")),
    ("`--sse-c-key-file`", customer_key),
    (
        "`--object-lock-mode`",
        option(
            ["--object-lock-mode", "GOVERNANCE", "--object-lock-retain-until", "1d"], "x-amz-object-lock-mode",
            "GOVERNANCE", "large", locked_bucket,
        ),
    ),
    (
        "`--object-lock-legal-hold`",
        option(["--object-lock-legal-hold", "ON"], "x-amz-object-lock-legal-hold", "ON", "small", locked_bucket),
    ),
    ("`--expected-bucket-owner`", wrong_owner),
    ("`presign`, `--url-file`", presigned),
]


def main():
    mule, folder, *names = sys.argv[1:]
    columns = {}
    for name in names or NAMES:
        try:
            server = Server(name, os.path.abspath(mule), pathlib.Path(folder).absolute())
            columns[name] = []
            for feature, test in FEATURES:
                try:
                    cell = test(server)
                except Exception as error:
                    cell = f"ERROR {error!r}"[:200]
                print(f"{name}: {feature}: {cell}", file=sys.stderr, flush=True)
                columns[name].append(cell)
        finally:
            subprocess.run([HERE / "s3server", "stop", name, folder], check=False)
    print("| feature | " + " | ".join(NAMES[name] for name in columns) + " |")
    print("|---" * (len(columns) + 1) + "|")
    for index, (feature, _) in enumerate(FEATURES):
        print("| " + " | ".join([feature] + [cells[index] for cells in columns.values()]) + " |")


main()
