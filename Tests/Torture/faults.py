"""The faults of the network and of the store, and which request meets which one.

A request's fate depends only on seed, round, and what the request is: its kind, its part, and how often it was tried. Which
thread of mule comes first makes no difference, so that a round can be played again.
"""

import random
import threading
from collections import Counter
from dataclasses import dataclass

BODIES = ("part", "put")
LISTINGS = ("list parts", "list uploads")
DOCUMENTS = ("create", "complete", *LISTINGS)
ALL = (*BODIES, *DOCUMENTS, "head", "abort")
NOT_HEAD = tuple(kind for kind in ALL if kind != "head")

# Where a fault takes hold of an exchange; see FaultyConnection.
HEAD, BODY, INSTEAD, ANSWER, AFTER = "head", "body", "instead", "answer", "after"

# Each further try of a request is less likely to meet a fault, so that every round ends.
DECAY = 0.6


@dataclass(frozen=True)
class Fault:
    """One fault of one request.

    share: where in the body or in the answer, from 0 to 1.
    seconds: how long a delay or a stall lasts, or how long throttled bytes take in all.
    early: whether an answer comes before the body has been read.
    """

    name: str
    place: str
    share: float = 0.0
    seconds: float = 0.0
    status: int = 0
    code: str = ""
    retry_after: int | None = None
    early: bool = False


@dataclass(frozen=True)
class Kind:
    name: str
    place: str
    weight: int
    requests: tuple
    seconds: tuple = (0.0, 0.0)
    status: int = 0
    code: str = ""

    def fault(self, chance):
        return Fault(
            self.name,
            self.place,
            share=chance.random(),
            seconds=chance.uniform(*self.seconds),
            status=self.status,
            code=self.code,
            retry_after=1 if self.status in (429, 503) and chance.random() < 0.3 else None,
            early=chance.random() < 0.3,
        )


REQUEST_LOST = "connection dropped before the request went on"
BODY_CUT = "connection dropped within the request body"
BODY_STALLED = "request body stalled"
BODY_THROTTLED = "request body throttled"
BIT_FLIPPED = "bit flipped in the request body"
DELAYED = "request delayed"
EXPECTATION_REFUSED = "answered 417 to Expect"
ERROR_IN_SUCCESS = "answered Complete with 200, white space and InternalError"
ANSWER_LOST = "answer lost after the request was processed"
ANSWER_CUT = "connection dropped within the answer"
ANSWER_TRUNCATED = "answer's document truncated"
ANSWER_REPLACED = "answered 500 though the request was processed"
SUCCESS_REPLACED = "answered Complete with 200 and InternalError though it was processed"
ANSWER_DELAYED = "answer delayed"
ANSWER_STALLED = "answer stalled half-way"
ANSWER_LATE = "white space before the result of Complete"
CLOSED_IDLE = "idle connection closed"

KINDS = (
    Kind(REQUEST_LOST, HEAD, 4, ALL),
    Kind(DELAYED, HEAD, 3, ALL, seconds=(0.02, 0.5)),
    Kind(BODY_CUT, BODY, 8, BODIES),
    Kind(BODY_STALLED, BODY, 3, BODIES, seconds=(0.3, 2.0)),
    Kind(BODY_THROTTLED, BODY, 3, BODIES, seconds=(0.3, 1.5)),
    Kind(BIT_FLIPPED, BODY, 6, BODIES),
    Kind("answered 500 InternalError", INSTEAD, 4, ALL, status=500, code="InternalError"),
    Kind("answered 502 in HTML", INSTEAD, 2, ALL, status=502),
    Kind("answered 503 SlowDown", INSTEAD, 2, ALL, status=503, code="SlowDown"),
    Kind("answered 429 TooManyRequests", INSTEAD, 1, ALL, status=429, code="TooManyRequests"),
    # An answer to HEAD has no body that could carry the code.
    Kind("answered 400 RequestTimeout", INSTEAD, 3, NOT_HEAD, status=400, code="RequestTimeout"),
    Kind(EXPECTATION_REFUSED, INSTEAD, 4, BODIES, status=417),
    Kind(ERROR_IN_SUCCESS, INSTEAD, 8, ("complete",), seconds=(0.05, 0.4), status=200, code="InternalError"),
    Kind(ANSWER_LOST, ANSWER, 6, ALL),
    Kind(ANSWER_CUT, ANSWER, 4, ALL),
    Kind(ANSWER_TRUNCATED, ANSWER, 5, DOCUMENTS),
    Kind(ANSWER_REPLACED, ANSWER, 4, ALL, status=500, code="InternalError"),
    Kind(SUCCESS_REPLACED, ANSWER, 5, ("complete",), status=200, code="InternalError"),
    Kind(ANSWER_DELAYED, ANSWER, 2, ALL, seconds=(0.05, 0.6)),
    Kind(ANSWER_STALLED, ANSWER, 2, ALL, seconds=(0.2, 1.5)),
    Kind(ANSWER_LATE, ANSWER, 4, ("complete",), seconds=(0.1, 0.8)),
    Kind(CLOSED_IDLE, AFTER, 4, ALL),
)

REFUSED = "connection dropped at accept"
BLACKOUT = "connection dropped by a network that is down"


class Fates:
    """Deals out the faults of one round, and counts those that came to pass.

    rate: the probability of a fault for the first try of a part; a request that comes once in an upload has a higher one.
    stall: seconds of a stall that outlasts mule's patience, or None for a round without one.
    may_flip: whether the store has anything to notice a flipped bit by.
    """

    def __init__(self, name, rate, stall=None, may_flip=True):
        self.struck = Counter()
        self.struck_bodies = 0
        self._name, self._rate, self._stall, self._may_flip = name, rate, stall, may_flip
        self._tries = Counter()
        self._connections = 0
        self._calm = False
        self._lock = threading.Lock()

    @property
    def is_calm(self):
        return self._calm

    def calm(self):
        """No more faults from here on."""
        self._calm = True

    def refuses_connection(self):
        with self._lock:
            self._connections += 1
            chance = random.Random(f"{self._name}/connection/{self._connections}")
        return not self._calm and chance.random() < 0.15 * self._rate

    def of(self, request, expects):
        """The fault that this request meets; None for most."""
        if request.kind not in ALL or self._calm:
            return None
        identity = f"{request.kind}/{request.query.get('partNumber', '')}"
        with self._lock:
            self._tries[identity] += 1
            tries = self._tries[identity]
        chance = random.Random(f"{self._name}/{identity}/{tries}")
        rate = self._rate if request.is_part else min(0.6, 2 * self._rate)
        if chance.random() >= rate * DECAY ** (tries - 1):
            return None
        kinds = [kind for kind in KINDS if self._may_meet(kind, request, expects, tries)]
        fault = chance.choices(kinds, [kind.weight for kind in kinds])[0].fault(chance)
        if fault.name in (BODY_STALLED, ANSWER_STALLED) and self._stall and chance.random() < 0.3:
            return Fault(fault.name, fault.place, share=fault.share, seconds=self._stall)
        return fault

    def _may_meet(self, kind, request, expects, tries):
        if request.kind not in kind.requests:
            return False
        if kind.name == EXPECTATION_REFUSED:
            return expects
        # mule takes a third damaged try of the same bytes for a fault of this machine, and rightly so.
        return kind.name != BIT_FLIPPED or (self._may_flip and tries == 1)

    def came_to_pass(self, name, request=None):
        with self._lock:
            self.struck[name] += 1
            if request is not None and request.kind in BODIES:
                self.struck_bodies += 1
