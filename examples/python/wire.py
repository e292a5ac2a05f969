"""What crosses the wire to a worker: a job's headers, a control request, and how old a message is when it comes."""

import json
import re
import time
from dataclasses import dataclass

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,62}\Z")
NUMBER = re.compile(r"\d{1,16}\Z")
NEVER = float("inf")


class Malformed(Exception):
    """A header that cannot be read; its name is the argument."""


@dataclass
class Order:
    """A job as its headers describe it. Times are in seconds."""

    id: str
    nonce: str
    attempt: int
    named: bool
    offered: bool
    reply: str
    timeout_s: float
    clock_s: float | None
    start_within_s: float
    expired: bool

    @property
    def key(self) -> tuple[str, str, int]:
        """One attempt of one submission: the same id with another nonce is another job."""
        return self.id, self.nonce, self.attempt


def read_order(msg, new_id: str) -> Order:
    """Reads a job's headers. A job without any is valid. What is malformed is refused and not guessed."""
    headers = msg.headers or {}

    def integer(name: str, missing: float | None, least: int) -> float | None:
        text = headers.get(name, "")
        if text == "":
            return missing
        if not NUMBER.match(text) or int(text) < least:
            raise Malformed(name)
        return int(text)

    def name(header: str, missing: str) -> str:
        text = headers.get(header, "")
        if text != "" and not NAME.match(text):
            raise Malformed(header)
        return text or missing

    clock_ms = integer("Pool-Clock", None, 0)
    # Only a sender that gives nothing better is measured by wall clocks, which may differ by two seconds.
    expires_at = integer("Pool-Expires-At", NEVER, 0)
    return Order(
        id=name("Pool-Job-Id", msg.reply or new_id),  # a plain request has no id, and its reply subject is as good
        nonce=name("Pool-Nonce", ""),
        attempt=int(integer("Pool-Attempt", 1, 1)),
        named="Pool-Job-Id" in headers,
        offered=headers.get("Pool-Offer") == "1",
        reply=msg.reply,
        timeout_s=integer("Pool-Timeout-Ms", 30_000, 1) / 1000,
        clock_s=None if clock_ms is None else clock_ms / 1000,
        start_within_s=integer("Pool-Start-Within-Ms", NEVER, 0) / 1000,
        expired=clock_ms is None and time.time() * 1000 > expires_at + 2000,
    )


def read_revocation(msg) -> tuple[str, str, float]:
    """Which attempts a cancel means: those up to a number, of one submission or of every one with the id."""
    headers = msg.headers or {}
    upto = headers.get("Pool-Attempt", "")
    if upto != "" and (not NUMBER.match(upto) or int(upto) < 1):
        raise Malformed("Pool-Attempt")
    return msg.subject.rsplit(".", 1)[1], headers.get("Pool-Nonce", ""), int(upto) if upto else NEVER


def answerable(reply: str) -> bool:
    """Only inboxes are answered, so that nobody can make a worker write elsewhere."""
    return reply.startswith(("_INBOX.", "_R_."))


# How each ControlRequest of protobuf begins. An empty answer is a valid ControlResponse.
VERBS = {0x0A: "drain", 0x12: "pause", 0x1A: "resume", 0x22: "resize", 0x2A: "probe", 0x42: "owed"}
WORD = re.compile(r"(drain|pause|resume|probe)\Z|resize (\d{1,5})\Z")


def read_control(data: bytes) -> tuple[str, int, bool]:
    """A request's verb ("" for one that is not known), its number of slots, and whether the answer is in JSON."""
    if data[:1] == b"{":
        try:
            ((verb, more),) = json.loads(data).items()
            return (verb, int(more.get("slots", 0)), True) if verb in VERBS.values() else ("", 0, True)
        except (ValueError, TypeError, AttributeError):
            return "", 0, True
    if match := WORD.match(data.decode("latin1")):
        return match[1] or "resize", int(match[2] or 0), True
    verb = VERBS.get(data[0] if data else 0, "")
    return verb, varint(data, 3)[0] if verb == "resize" and len(data) > 3 else 0, False


def varint(data: bytes, at: int) -> tuple[int, int]:
    """A number of protobuf, and where it ends."""
    value = shift = 0
    while True:
        value |= (data[at] & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if data[at - 1] < 0x80:
            return value, at


def read_owed(data: bytes) -> list[tuple[str, str]]:
    """ControlRequest{owed: {job_ids, nonces}}: id and nonce of each job that a manager waits for; none if malformed."""
    texts: dict[int, list[str]] = {0x0A: [], 0x12: []}
    try:
        at = varint(data, 1)[1]
        while at < len(data):
            length, begin = varint(data, at + 1)
            texts[data[at]].append(data[begin : begin + length].decode())
            at = begin + length
    except (IndexError, KeyError, ValueError):
        return []
    ids, nonces = texts[0x0A], texts[0x12]
    return list(zip(ids, nonces + [""] * (len(ids) - len(nonces))))


def owed_answer(worker: str, known: list[str], unknown: list[str]) -> bytes:
    """ControlResponse{worker: {worker}, known_job_ids, unknown_job_ids}. Names are short: a length is one byte."""

    def field(tag: int, value: bytes) -> bytes:
        return bytes([tag, len(value)]) + value

    answer = field(0x0A, field(0x12, worker.encode()))
    return answer + b"".join(field(tag, id.encode()) for tag, ids in ((0x12, known), (0x1A, unknown)) for id in ids)


class Ages:
    """How old messages are when they come, without comparing clocks.

    The least difference between a sender's monotonic clock and ours stands for the difference of the clocks and the
    shortest way. What a message has above it is its age.
    """

    DRIFT = 3e-4  # how far two clocks may drift apart, as a part of the time that passes
    LONGER_WAY_S = 15  # when all messages for so long were slower, the way has become longer
    MAX_SENDERS = 10_000

    def __init__(self):
        self.senders: dict[str, dict] = {}

    def of(self, reply: str, clock_s: float, now_s: float) -> float:
        """The age in seconds; 0 for the first message of a sender. All inboxes of one connection begin alike."""
        name, difference = ".".join(reply.split(".")[:-2]) or reply, now_s - clock_s
        known = self.senders.get(name)
        if known is None and len(self.senders) >= self.MAX_SENDERS:
            self.senders.clear()
        if known is None or difference <= known["least"] + (now_s - known["at"]) * self.DRIFT:
            self.senders[name] = {"least": difference, "at": now_s, "slower": None}
            return 0
        since, least = known["slower"] or (now_s, difference)
        known["slower"] = (since, min(least, difference))
        if now_s - since > self.LONGER_WAY_S:
            self.senders[name] = {"least": min(least, difference), "at": now_s, "slower": None}
            return 0
        return difference - known["least"] - (now_s - known["at"]) * self.DRIFT
