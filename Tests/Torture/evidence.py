"""What can be told of an upload without asking mule: the object at the store, and the requests that were seen."""

import concurrent.futures
import time

import stage
from failure import Failure
from s3client import Store

READ_AT_ONCE = 32 * stage.MEBIBYTE
READERS = 2

# A store on a busy machine may say 503, or nothing, for a while; that is no judgement of mule.
PATIENCE_SECONDS = 300


class PatientStore(Store):
    """A store whose own failures are waited out."""

    def request(self, *words, **options):
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            try:
                response = super().request(*words, **options)
                if response.status < 500 or time.monotonic() > deadline:
                    return response
            except OSError:
                if time.monotonic() > deadline:
                    raise
            time.sleep(1)


def difference(store, bucket, key, path):
    """What tells the object from the file at `path`; None when they are equal byte for byte."""
    size = path.stat().st_size
    try:
        stored = store.size(bucket, key)
        if stored is None:
            return "there is no object"
        if stored != size:
            return f"the object has {stored:,} bytes, the file {size:,}"

        def is_equal(offset):
            count = min(READ_AT_ONCE, size - offset)
            with open(path, "rb") as file:
                file.seek(offset)
                return store.read(bucket, key, offset, count) == file.read(count)

        with concurrent.futures.ThreadPoolExecutor(READERS) as readers:
            equal = readers.map(is_equal, offsets := range(0, size, READ_AT_ONCE))
            different = [offset for offset, same in zip(offsets, equal) if not same]
    except Failure as error:
        return str(error)
    return f"the object differs within {READ_AT_ONCE:,} bytes after {different}" if different else None


def sent_again(requests, starts):
    """Numbers of the parts that a run sent although the store had acknowledged them before that run began.

    `starts` are the moments at which runs began, rising.
    """
    acknowledged = {}
    again = set()
    for request in requests:
        if not request.is_part:
            continue
        part = (request.path, request.query.get("uploadId"), request.query["partNumber"])
        run = max(start for start in starts if start <= request.began)
        if acknowledged.get(part, run) < run:
            again.add(int(request.query["partNumber"]))
        if request.status == 200:
            acknowledged[part] = min(request.answered, acknowledged.get(part, request.answered))
    return sorted(again)


def last_words(path):
    """The last line of what mule printed into a file."""
    lines = path.read_text(errors="replace").strip().splitlines() if path.exists() else []
    return lines[-1] if lines else "nothing was said"
