"""When to strike: some seconds after a run began, or when a request that matters has come to a certain point."""

import threading
import time

# A moment is a request of some kind and what the witness tells of it; see Witness.
AIMED = {
    "create sent": ("create", "sent"),
    "create answered, not heard": ("create", "answered"),
    "create heard": ("create", "delivered"),
    "part sent": ("part", "sent"),
    "part answered, not heard": ("part", "answered"),
    "part heard": ("part", "delivered"),
    "complete sent": ("complete", "sent"),
    "complete answered, not heard": ("complete", "answered"),
    "complete heard": ("complete", "delivered"),
}
# The same for what only some uploads ask: a resumed one, one whose Complete or Create went unanswered, a small one.
SELDOM = {
    f"{kind} {name}": (kind, event)
    for kind in ("list parts", "list uploads", "head", "abort", "put")
    for name, event in (("sent", "sent"), ("answered, not heard", "answered"), ("heard", "delivered"))
}
# "Heard" is followed by a few milliseconds in which mule writes down what it heard.
WRITING_SECONDS = 0.004


class Moment:
    """Some seconds after the start, or the `count`-th time that the witness tells of `event` for a request of `kind`."""

    def __init__(self, name, after=None, kind=None, event=None, count=1, delay=0.0):
        self.name, self.after, self.kind, self.event, self.count, self.delay = name, after, kind, event, count, delay


def aimed(chance, name, parts):
    """The moment of this name in AIMED or SELDOM, at one of `parts` parts."""
    kind, event = {**AIMED, **SELDOM}[name]
    count = chance.randint(1, max(1, parts)) if kind == "part" else 1
    delay = chance.choice([0, chance.uniform(0, WRITING_SECONDS)]) if event == "delivered" else 0
    return Moment(name, kind=kind, event=event, count=count, delay=delay)


class Trigger:
    """Calls `act` once, when its moment has come."""

    def __init__(self, moment, act):
        self.moment = moment
        self._act = act
        self._seen = 0
        self._pulled = False
        self._lock = threading.Lock()

    def hear(self, event, request):
        """The witness tells, on a connection's thread; nothing passes that connection before this returns."""
        with self._lock:
            if (self.moment.kind, self.moment.event) != (request.kind, event):
                return
            self._seen += 1
            if self._seen != self.moment.count:
                return
        if self.moment.delay:
            time.sleep(self.moment.delay)
        self.pull()

    def pull(self):
        with self._lock:
            if not self._pulled:
                self._pulled = True
                self._act()

    def disarm(self):
        """From now on nothing happens, and what has begun to happen is over."""
        with self._lock:
            self._pulled = True
