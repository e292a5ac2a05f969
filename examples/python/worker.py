"""A worker of a pool in Python. It adds one to the number it gets.

    python worker.py --pool adder --slots 4

It speaks the wire of docs/protocol.md directly and needs nothing but a NATS client.
"""

import argparse
import asyncio
import json
import os
import signal
import time

import nats


# ControlRequest{probe: {}}, and how ControlRequest{drain: …} begins; an empty answer is a valid ControlResponse.
PROBE, DRAIN = b"\x2a\x00", b"\x0a"


async def add_one(payload: bytes, delay_s: float) -> bytes:
    """The handler. A cancel interrupts it where it awaits; give what computes for long to asyncio.to_thread."""
    await asyncio.sleep(delay_s)
    try:
        return json.dumps(json.loads(payload) + 1).encode()
    except (TypeError, ValueError):
        raise ValueError("the payload is not a number") from None


class Worker:
    """Owns the slots of one process."""

    def __init__(self, nc, pool: str, name: str, slots: int, handler):
        self.nc, self.pool, self.name, self.slots, self.handler = nc, pool, name, slots, handler
        self.incarnation, self.seq, self.state = int(time.time() * 1000) * 1024, 0, "WORKER_STATE_READY"
        self.running, self.left = {}, asyncio.Event()

    async def start(self) -> None:
        """Subscribes to offers (shared with the pool's other workers), hand-offs, cancels and control, and beats."""
        self.offers = await self.nc.subscribe(f"pool.{self.pool}.job", queue="workers", cb=self.take)
        await self.nc.subscribe(f"pool.{self.pool}.job.{self.name}", cb=self.take)
        await self.nc.subscribe(f"pool.{self.pool}.cancel.*", cb=self.cancel)
        await self.nc.subscribe(f"pool.{self.pool}.control.{self.name}", cb=self.control)
        await self.beat()

    async def take(self, msg) -> None:
        """Runs a job when a slot is free and says busy when none is. It answers inboxes only."""
        headers = msg.headers or {}
        if not msg.reply.startswith("_INBOX.") or self.expired(headers):
            return
        offered = headers.get("Pool-Offer") == "1"
        if self.state != "WORKER_STATE_READY" or len(self.running) >= self.slots:
            if offered:
                return await self.reply(msg, "busy")
            return await self.fail(msg, "pool_full", 429, f"no free slot; submit to pool.{self.pool}.submit to wait")
        job = asyncio.create_task(self.run(msg))
        self.running[headers.get("Pool-Job-Id", msg.reply)] = (int(headers.get("Pool-Attempt", 1)), job)
        if offered:
            await self.reply(msg, "accepted")
        await self.beat()

    async def run(self, msg) -> None:
        """One job: its result or its error, when the slot is free again."""
        headers = msg.headers or {}
        try:
            left_s = int(headers.get("Pool-Timeout-Ms", 30_000)) / 1000
            end = ("result", await asyncio.wait_for(self.handler(msg.data), left_s))
        except asyncio.CancelledError:
            end = ("canceled", 499, "the job was canceled")
        except asyncio.TimeoutError:
            end = ("deadline_exceeded", 504, "the job ran out of time")
        except Exception as error:  # whatever a handler throws is its job's outcome
            end = ("job_failed", 500, str(error))
        del self.running[headers.get("Pool-Job-Id", msg.reply)]
        await (self.reply(msg, *end) if end[0] == "result" else self.fail(msg, *end))
        await self.beat()

    async def cancel(self, msg) -> None:
        """Ends a job of ours. With an attempt it ends no later attempt."""
        attempt, job = self.running.get(msg.subject.rsplit(".", 1)[1], (0, None))
        if job is None or attempt > int((msg.headers or {}).get("Pool-Attempt", attempt)):
            return
        job.cancel()
        if msg.reply.startswith("_INBOX."):
            await self.nc.publish(msg.reply, headers={"Pool-Reply": "result", "Pool-Worker": self.name})

    async def control(self, msg) -> None:
        """Answers a probe and a drain. To listen here is a sign of life: with nobody here a worker counts as lost."""
        if not msg.reply.startswith("_INBOX."):
            return
        if msg.data == b"drain" or msg.data.startswith(DRAIN):
            self.left.set()
        elif msg.data not in (b"probe", PROBE):
            return await self.fail(msg, "invalid_argument", 400, "control: this worker knows probe and drain")
        await self.reply(msg, "result")

    async def drain(self) -> None:
        """Takes nothing new, finishes what runs, and says goodbye."""
        self.state = "WORKER_STATE_DRAINING"
        await self.beat()
        await self.offers.drain()
        await asyncio.gather(*(job for _, job in self.running.values()), return_exceptions=True)
        self.state = "WORKER_STATE_STOPPED"
        await self.beat()
        await self.nc.drain()

    async def beat(self) -> None:
        """Says in JSON how the worker is; protobuf would do as well."""
        self.seq += 1
        beat = {"pool": self.pool, "worker": self.name, "incarnation": self.incarnation, "seq": self.seq}
        beat |= {"state": self.state, "slots": self.slots, "busy": len(self.running), "heartbeatIntervalMs": 1000}
        named = [job for job in self.running if not job.startswith("_INBOX.")]
        beat |= {"runningJobs": named[:64], "runningTruncated": len(named) > 64}
        subject = f"pool.{self.pool}.heartbeat.{self.name}"
        await self.nc.publish(subject, json.dumps(beat).encode(), headers={"Content-Type": "application/json"})

    async def fail(self, msg, reason: str, code: int, text: str) -> None:
        """An error in headers for programs and in the body for a person."""
        error = {"Pool-Error": reason, "Nats-Service-Error": text, "Nats-Service-Error-Code": str(code)}
        await self.reply(msg, "error", f"{reason}: {text}".encode(), error)

    async def reply(self, msg, kind: str, data: bytes = b"", more: dict = {}) -> None:
        """Headers say what a reply is, to which attempt, from whom, and how many slots are free now."""
        headers = {"Pool-Reply": kind, "Pool-Worker": self.name, "Pool-Free": str(self.slots - len(self.running))}
        headers |= {name: msg.headers[name] for name in ("Pool-Job-Id", "Pool-Attempt") if name in (msg.headers or {})}
        await self.nc.publish(msg.reply, data, headers=headers | more)

    @staticmethod
    def expired(headers: dict) -> bool:
        """Whether nobody may start the job any more; clocks may differ by two seconds."""
        return time.time() * 1000 > int(headers.get("Pool-Expires-At", 1 << 53)) + 2000


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--nats", default=os.environ.get("NATS_URL", "nats://127.0.0.1:4222"), help="URL of the broker")
    parser.add_argument("--pool", default="adder")
    parser.add_argument("--id", default=f"python-{os.getpid()}", help="unique in its pool")
    parser.add_argument("--slots", type=int, default=1, help="jobs that run at once")
    parser.add_argument("--delay", type=float, default=0, help="seconds that each job takes, to watch the pool at work")
    args = parser.parse_args()
    nc = await nats.connect(args.nats, max_reconnect_attempts=-1)
    worker = Worker(nc, args.pool, args.id, args.slots, lambda payload: add_one(payload, args.delay))
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
