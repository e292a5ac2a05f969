"""A worker of a pool in Python. It adds one to the number it gets.

    python worker.py --pool adder --slots 4

It speaks version 2 of the wire of docs/protocol.md directly and needs nothing but a NATS client. wire.py reads what
comes, known.py remembers attempts that have ended or were revoked, large.py reads payloads over the broker's limit.
"""

import argparse
import asyncio
import json
import math
import os
import signal
import time

import nats

from known import Known
from large import Unreadable, whole
from wire import Ages, Malformed, Order, answerable, owed_answer, read_control, read_order, read_owed, read_revocation


async def add_one(payload: bytes, progress, delay_s: float) -> bytes:
    """The handler: a number, or {"number": 41, "waitMs": 500}, which reports progress while it waits.

    A cancel interrupts it where it awaits; give what computes for long to asyncio.to_thread.
    """
    try:
        job = json.loads(payload)
        number, wait_ms = (job["number"], job.get("waitMs", 0)) if isinstance(job, dict) else (job, 0)
        result = json.dumps(number + 1).encode()
    except (KeyError, TypeError, ValueError):
        raise ValueError("the payload is not a number") from None
    if wait_ms > 0:
        await progress({"waitMs": wait_ms})
    await asyncio.sleep(delay_s + wait_ms / 1000)
    return result


class Running:
    """A job that holds a slot. Everybody who sent this attempt hears its outcome."""

    def __init__(self, order: Order):
        self.order, self.replies = order, [order.reply]
        self.handler = self.end = None  # the tasks of the handler, which a cancel ends, and of the job to its outcome


class Worker:
    """Owns the slots of one process."""

    def __init__(self, nc, pool: str, name: str, slots: int, handler):
        self.nc, self.pool, self.name, self.slots, self.handler = nc, pool, name, slots, handler
        self.incarnation, self.seq, self.state = int(time.time() * 1000) * 1024, 0, "READY"
        self.running: dict[tuple, Running] = {}
        self.known, self.ages, self.left, self.plain = Known(), Ages(), asyncio.Event(), 0

    async def start(self) -> None:
        """Subscribes to offers (shared with the pool's other workers), assignments, cancels and control, and beats."""
        self.offers = await self.nc.subscribe(f"pool.{self.pool}.job", queue="workers", cb=self.take)
        await self.nc.subscribe(f"pool.{self.pool}.job.{self.name}", cb=self.take)
        await self.nc.subscribe(f"pool.{self.pool}.cancel.*", cb=self.cancel)
        await self.nc.subscribe(f"pool.{self.pool}.control.{self.name}", cb=self.control)
        await self.beat()

    async def take(self, msg) -> None:
        """Starts a job, refuses it, or repeats what is known of it. It answers inboxes only."""
        if msg.reply and not answerable(msg.reply):
            return
        try:
            self.plain += 1
            order = read_order(msg, f"plain.{self.plain}")
        except Malformed as header:
            return await self.refuse_header(msg.reply, header)
        age_s = 0
        if order.clock_s is not None and order.reply:
            age_s = self.ages.of(order.reply, order.clock_s, time.monotonic())
        left_s = order.timeout_s - age_s
        if order.expired or left_s <= 0:
            return await self.fail(order.reply, order, "deadline_exceeded", 504, "the job had expired before it came")
        if self.known.is_revoked(order.id, order.nonce, order.attempt):
            if not order.offered:  # its manager knows what it has revoked; a plain sender gets its one answer
                await self.fail(order.reply, order, "canceled", 499, "the job was canceled before it came")
            return
        if not await self.repeats(order) and await self.has_room(order, age_s):
            await self.begin(order, msg.data, left_s)

    async def repeats(self, order: Order) -> bool:
        """Whether this attempt runs here or has ended here; its sender is answered."""
        if job := self.running.get(order.key):
            if order.offered:
                job.replies.append(order.reply)
                await self.reply(order.reply, order, "accepted")
            else:
                await self.fail(order.reply, order, "duplicate_job", 409, "this job is running")
            return True
        if outcome := self.known.outcome(order.key):
            await self.tell([order.reply], order, outcome)
            return True
        return False

    async def has_room(self, order: Order, age_s: float) -> bool:
        """Whether a job may start. If not, busy goes to who understands it, and an error to who does not."""
        more, error = {}, None
        if self.state != "READY":
            more, error = {"Pool-Free": "0"}, ("draining", 503, "this worker takes nothing new")
        elif order.offered and age_s > order.start_within_s:
            # The lease is over: the manager may have sent the job elsewhere.
            more, error = {"Pool-Age-Ms": str(math.ceil(age_s * 1000))}, ()
        elif len(self.running) >= self.slots:
            error = ("pool_full", 429, f"no free slot; submit to pool.{self.pool}.submit to wait")
        if error is not None and order.offered:
            await self.reply(order.reply, order, "busy", more=more)
        elif error is not None:
            await self.fail(order.reply, order, *error)
        return error is None

    async def begin(self, order: Order, payload: bytes, left_s: float) -> None:
        """Takes a slot and runs the job in it."""
        job = self.running[order.key] = Running(order)
        job.handler = asyncio.create_task(self.handle(job, payload))
        job.end = asyncio.create_task(self.run(job, left_s))
        if order.offered:
            await self.reply(order.reply, order, "accepted")
        await self.beat()

    async def handle(self, job: Running, payload: bytes) -> bytes:
        """The handler, with the payload whole: a large one is in the object store."""
        payload = await whole(self.nc, self.pool, job.order.id, payload)
        return await self.handler(payload, lambda value: self.progress(job, value))

    async def progress(self, job: Running, value) -> None:
        """Tells an intermediate value to who understands it."""
        if job.order.offered:
            for to in job.replies:
                await self.reply(to, job.order, "progress", json.dumps(value).encode())

    async def run(self, job: Running, left_s: float) -> None:
        """One job: its result or its error, when the slot is free again."""
        try:
            outcome = ("result", await asyncio.wait_for(job.handler, left_s))
        except asyncio.CancelledError:
            outcome = ("canceled", 499, "the job was canceled")
        except asyncio.TimeoutError:
            outcome = ("deadline_exceeded", 504, "the job ran out of time")
        except Unreadable as why:
            code, text = why.args
            outcome = ("job_rejected", 422, text, {"Pool-Error-Code": code})
        except Exception as error:  # whatever a handler throws is its job's outcome
            outcome = ("job_failed", 500, str(error))
        del self.running[job.order.key]
        if job.order.named:
            self.known.keep(job, outcome)
        await self.tell(job.replies, job.order, outcome)
        await self.beat()

    async def cancel(self, msg) -> None:
        """Ends jobs of ours: with an attempt no later one, with a nonce no other submission. It holds for late ones too."""
        try:
            id, nonce, upto = read_revocation(msg)
        except Malformed as header:
            return await self.refuse_header(msg.reply, header)
        self.known.revoke(id, nonce, upto)
        meant = [
            job
            for job in self.running.values()
            if job.order.id == id and nonce in ("", job.order.nonce) and job.order.attempt <= upto
        ]
        for job in meant:
            job.handler.cancel()
        if meant:
            await self.reply(msg.reply, None, "result")

    async def control(self, msg) -> None:
        """Does what is asked. To listen here is a sign of life: with nobody here a worker counts as lost."""
        verb, slots, is_json = read_control(msg.data)
        if verb == "owed" and is_json:
            verb = ""
        if verb in ("pause", "resume") and self.state in ("READY", "PAUSED"):
            self.state = "PAUSED" if verb == "pause" else "READY"
        elif verb == "resize" and 1 <= slots <= 65_535:
            self.slots = slots
        elif verb == "drain":
            self.state = "DRAINING"
            self.left.set()
        elif verb == "owed" and (asked := read_owed(msg.data)):
            return await self.reply(msg.reply, None, "result", await self.owed(asked))
        elif verb not in ("probe", "pause", "resume"):
            text = "control: this worker knows probe, pause, resume, resize, drain and, in protobuf, owed"
            return await self.fail(msg.reply, None, "invalid_argument", 400, text)
        answer = json.dumps({"worker": self.heartbeat()}).encode() if is_json else b""
        await self.reply(msg.reply, None, "result", answer)
        if verb != "probe":
            await self.beat()

    async def owed(self, submissions: list[tuple[str, str]]) -> bytes:
        """Says which submissions this worker knows, and tells again what became of them."""
        known, unknown = [], []
        for id, nonce in submissions:
            running = [job for job in self.running.values() if job.order.key[:2] == (id, nonce)]
            ended = self.known.ended_of(id, nonce)
            for job in running:
                await self.reply(job.order.reply, job.order, "accepted")
            for job, outcome in ended:
                await self.tell(job.replies, job.order, outcome)
            (known if running or ended else unknown).append(id)
        return owed_answer(self.name, known, unknown)

    async def drain(self) -> None:
        """Takes nothing new, finishes what runs, and says goodbye."""
        self.state = "DRAINING"
        await self.beat()
        await self.offers.drain()
        await asyncio.gather(*(job.end for job in self.running.values()), return_exceptions=True)
        self.state = "STOPPED"
        await self.beat()
        await self.nc.drain()

    def heartbeat(self) -> dict:
        """How the worker is now; seq rises with every one. Version 2 of the protocol knows nonces and leases."""
        self.seq += 1
        named = [job.order for job in self.running.values() if job.order.named]
        return {
            "pool": self.pool,
            "worker": self.name,
            "incarnation": self.incarnation,
            "seq": self.seq,
            "state": f"WORKER_STATE_{self.state}",
            "slots": self.slots,
            "busy": len(self.running),
            "heartbeatIntervalMs": 1000,
            "protocolVersion": 2,
            "sentAtMs": int(time.time() * 1000),
            "runningJobs": [order.id for order in named[:64]],
            "runningNonces": [order.nonce for order in named[:64]],
            "runningTruncated": len(named) > 64,
        }

    async def beat(self) -> None:
        """Sends a heartbeat in JSON; protobuf would do as well."""
        subject = f"pool.{self.pool}.heartbeat.{self.name}"
        body = json.dumps(self.heartbeat()).encode()
        await self.nc.publish(subject, body, headers={"Content-Type": "application/json"})

    async def tell(self, replies: list[str], order: Order, outcome: tuple) -> None:
        """Sends an outcome to everybody who waits for it."""
        for to in replies:
            await (self.reply(to, order, *outcome) if outcome[0] == "result" else self.fail(to, order, *outcome))

    async def refuse_header(self, to: str, header: Malformed) -> None:
        """What cannot be read is answered, and not guessed."""
        more = {"Pool-Field": str(header)}
        await self.fail(to, None, "invalid_argument", 400, f"header {header}: malformed", more)

    async def fail(self, to: str, order: Order | None, reason: str, code: int, text: str, more: dict = {}) -> None:
        """An error in headers for programs and in the body for a person."""
        error = {"Pool-Error": reason, "Nats-Service-Error": text, "Nats-Service-Error-Code": str(code)}
        await self.reply(to, order, "error", f"{reason}: {text}".encode(), error | more)

    async def reply(self, to: str, order: Order | None, kind: str, data: bytes = b"", more: dict = {}) -> None:
        """Headers say what a reply is, to which attempt, from whom, and how many slots are free now."""
        if not answerable(to):
            return
        free = max(0, self.slots - len(self.running))
        headers = {"Pool-Reply": kind, "Pool-Worker": self.name, "Pool-Free": str(free)}
        if order is not None and order.named:
            headers |= {"Pool-Job-Id": order.id, "Pool-Attempt": str(order.attempt)}
        await self.nc.publish(to, data, headers=headers | more)


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--nats", default=os.environ.get("NATS_URL", "nats://127.0.0.1:4222"), help="URL of the broker")
    parser.add_argument("--pool", default="adder")
    parser.add_argument("--id", default=f"python-{os.getpid()}", help="unique in its pool")
    parser.add_argument("--slots", type=int, default=1, help="jobs that run at once")
    parser.add_argument("--delay", type=float, default=0, help="seconds that each job takes, to watch the pool at work")
    args = parser.parse_args()
    nc = await nats.connect(args.nats, max_reconnect_attempts=-1)
    worker = Worker(nc, args.pool, args.id, args.slots, lambda *job: add_one(*job, args.delay))
    for each in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(each, worker.left.set)
    await worker.start()
    print(f"ready: worker {args.id} of pool {args.pool}", flush=True)
    while not worker.left.is_set():
        try:
            await asyncio.wait_for(worker.left.wait(), 1)
        except asyncio.TimeoutError:
            await worker.beat()
    await worker.drain()


if __name__ == "__main__":
    asyncio.run(main())
