"""Holds mule to its promises, after each run and at the end of a round."""

import contextlib
import json
import signal
import sqlite3
from collections import defaultdict

import evidence
import scenario as plans
from running import listing

DONE, CHANGED, REFUSED, LOCKED, LEDGER, TEMPORARY = 0, 3, 4, 11, 12, 75
# What status --json may say of an upload that is not finished.
OPEN_STATES = {"pending", "active", "failed", "unknown"}
# A secret shorter than this may stand in a text by accident.
TELLING_SECRET = 8


# One run


def judge_run(play, run):
    for status in run.statuses:
        if status not in permitted(play, run):
            mark = "-twin" if status == run.twin_status and status != run.status else ""
            words = evidence.last_words(play.folder / f"run-{run.number}{mark}.err")
            play.say(f"run {run.number} ended with {status}, which nothing that was done to it explains: {words}")
    if run.statuses == [LOCKED, LOCKED]:
        play.say(f"run {run.number}: two mules, and each left the upload to the other")
    if DONE in run.statuses:
        _judge_success(play, run)
    _judge_output(play, run)
    if not play.disk.is_full:
        _judge_knowledge(play, run)


def permitted(play, run):
    """The exit statuses that what was done to the run explains."""
    allowed = {DONE}
    allowed |= {-signal.Signals[name] for name in plans.SIGNALS if run.struck[name]}
    faults = play.fates.struck.total() + play.proxy.store_failures - run.faults_before
    if faults or run.struck[plans.STOP] or run.patience == plans.SHORT_PATIENCE:
        allowed.add(TEMPORARY)
    if run.struck[plans.DISK]:
        allowed.add(LEDGER)
    restarts = run.restarts and not run.struck[plans.TWIN]
    if run.struck[plans.CHANGE] or (play.source.changes and run.pending_before and not restarts):
        allowed.add(CHANGED)
    if run.struck[plans.TWIN]:
        allowed.add(LOCKED)
    # A run takes up an upload that has vanished once; a stream can't be read again.
    if run.struck[plans.EXPIRY] > (0 if play.scenario.is_stream else 1):
        allowed.add(REFUSED)
    return allowed


def _judge_success(play, run):
    """Exit 0 means that the object is the file, as it was at some moment of the run."""
    differences = []
    for version in reversed(play.source.versions[run.first_version :]):
        difference = evidence.difference(play.store, play.bucket, play.key, version)
        if difference is None:
            return
        differences.append(difference)
    play.say(f"run {run.number} ended with 0, but {differences[0]}")


def _judge_output(play, run):
    # One of two mules that resume may come when the other has finished: it says so and ends with 0.
    completed = any('"event":"completed"' in path.read_text() for path in play.folder.glob(f"run-{run.number}*.out"))
    for path in play.folder.glob(f"run-{run.number}*.*"):
        text = path.read_text(errors="replace")
        secret = play.store.secret_key
        if len(secret) >= TELLING_SECRET and secret in text:
            play.say(f"{path.name} shows the secret key")
        if path.suffix == ".out" and play.scenario.says_json:
            status = run.twin_status if "twin" in path.name else run.status
            came_late = completed and run.struck[plans.TWIN] and not text and "no unfinished uploads" in _errors(path)
            if not came_late:
                _judge_events(play, run, text, status)


def _errors(path):
    return path.with_suffix(".err").read_text(errors="replace")


def _judge_events(play, run, text, status):
    try:
        events = [json.loads(line) for line in text.splitlines()]
    except ValueError as error:
        # What a signal cut off is nobody's fault.
        if status != -signal.SIGKILL:
            play.say(f"run {run.number} prints what is not JSON: {error}")
        return
    last = next((event for event in reversed(events) if event.get("event") in ("completed", "failed")), None)
    if status == DONE and (last is None or last["event"] != "completed"):
        play.say(f"run {run.number} ended with 0, and its last event is {last}")
    if status in (CHANGED, LOCKED, TEMPORARY) and (last is None or last["event"] != "failed"):
        play.say(f"run {run.number} ended with {status}, and its last event is {last}")
    if last and last["event"] == "completed":
        sizes = {version.stat().st_size for version in play.source.versions[run.first_version :]}
        if last["size"] not in sizes:
            play.say(f"run {run.number} says it completed {last['size']:,} bytes, of a file of {sizes}")


def _judge_knowledge(play, run):
    """Nothing that holds parts lies at the store unless mule status knows of it."""
    known = {upload["uploadID"] for upload in play.pending()}
    holding = {request.query.get("uploadId") for request in play.acknowledged()}
    orphans = [upload for upload in play.open_uploads() if upload in holding and upload not in known]
    if orphans:
        play.say(f"after run {run.number} mule status knows nothing of the parts of {orphans}")


def judge_repetition(play, run):
    """An upload that was confirmed is not sent again."""
    sent = play.proxy.body_bytes - run.body_bytes_before
    if sent:
        play.say(f"{sent:,} bytes were sent again of an object that was confirmed before")


# mule status, at any moment


def look_at_status(play, run):
    run.looks += 1
    play.blows["looks at mule status"] += 1
    was_full = play.disk.is_full
    was_alive = play.is_active
    text, status = listing(play.mule, play.environment)
    if status != DONE:
        if not (status == LEDGER and (was_full or play.disk.is_full)):
            play.say(f"mule status ended with {status} during run {run.number}")
        return
    parts = defaultdict(dict)
    for request in play.acknowledged():
        parts[request.query.get("uploadId")][request.query["partNumber"]] = request.body_bytes
    for line in text.splitlines():
        upload = json.loads(line)
        held = parts[upload["uploadID"]]
        if upload["partsDone"] > len(held) or upload["bytesDone"] > sum(held.values()):
            play.say(f"mule status claims more than the store has acknowledged ({len(held)} parts): {line}")
        if upload["state"] not in OPEN_STATES:
            play.say(f"mule status lists what is not open: {line}")
        if upload["state"] == "active" and not (was_alive or play.is_active):
            play.say(f"mule status calls active what nobody carries: {line}")
        if upload["destination"] != play.destination:
            play.say(f"mule status names another destination: {line}")


# The end of a round


def judge_end(play):
    _judge_object(play)
    if pending := play.pending():
        play.say(f"at the end mule status lists {pending}")
    if left := play.open_uploads():
        play.say(f"at the end open at the store: {left}")
    _judge_ledger(play)
    _judge_bytes(play)


def _judge_object(play):
    difference = evidence.difference(play.store, play.bucket, play.key, play.source.current)
    if not play.aborted:
        if difference:
            play.say(f"at the end {difference}")
        return
    # What was given up may have been completed before, but only whole.
    if play.store.size(play.bucket, play.key) is None:
        return
    if all(evidence.difference(play.store, play.bucket, play.key, version) for version in play.source.versions):
        play.say("after mule abort there is an object that no version of the file equals")


def _judge_ledger(play):
    with contextlib.closing(sqlite3.connect(f"file:{play.ledger}?mode=ro", uri=True)) as database:
        verdict = database.execute("PRAGMA integrity_check").fetchall()
    if verdict != [("ok",)]:
        play.say(f"the ledger is damaged: {verdict}")


def _judge_bytes(play):
    requests = play.proxy.snapshot()
    starts = [run.began for run in play.runs]
    if again := evidence.sent_again(requests, starts):
        play.say(f"parts {again} were sent again though the store had acknowledged them before that run began")
    uploads = {request.query.get("uploadId") for request in requests if request.is_part}
    fresh = 1 + sum(run.restarts for run in play.runs) + play.source.changes + play.expired
    if play.scenario.is_stream:
        fresh = len(play.runs)
    if len(uploads) > fresh:
        play.say(f"{len(uploads)} uploads were begun, {fresh} would do")
    sent, most = play.proxy.body_bytes, bound(play, max(len(uploads), 1))
    if sent > most:
        play.say(f"{sent:,} bytes were sent; with all that was done, {most:,} would do")


def bound(play, uploads):
    """The most bytes that may go out: each upload's size, and what was in flight at each fault and each blow."""
    scenario = play.scenario
    blows = sum(sum(run.struck.values()) + (run.status not in (DONE, LOCKED)) for run in play.runs)
    single = play.fates.struck_bodies + play.proxy.store_failures
    if any(not request.is_part and request.method == "PUT" for request in play.proxy.snapshot()):
        uploads += len(play.runs)
    # A store that ignores a checksum is noticed at its first answers; those parts go once more.
    return uploads * (play.source.largest + scenario.in_flight) + blows * scenario.in_flight + single * scenario.unit


def sent_twice(play):
    """Body bytes that went out more than once for the same part or object."""
    seen = defaultdict(list)
    for request in play.proxy.snapshot():
        if request.body_bytes and request.method == "PUT":
            seen[request.query.get("uploadId"), request.query.get("partNumber")].append(request.body_bytes)
    return sum(sum(bodies) - max(bodies) for bodies in seen.values())
