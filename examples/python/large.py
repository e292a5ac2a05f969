"""Payloads over the broker's limit: what comes in their place names an object of JetStream (docs/protocol.md)."""

import json
import re

from nats.js.errors import DigestMismatchError, NotFoundError

PREFIX = b"poolmesh-object/1 "
BUCKET = re.compile(r"[A-Za-z0-9_-]{1,40}-(submitted|enqueued)\Z")
MAX_BYTES = 256 * 2**20


class Unreadable(Exception):
    """The payload is not there, or not what was sent: the job must not run. Its code and its text are the arguments."""


async def whole(nc, pool: str, id: str, payload: bytes) -> bytes:
    """The payload of a job as it was sent: read from its object, when it names one."""
    if not payload.startswith(PREFIX):
        return payload
    try:
        said = json.loads(payload[len(PREFIX) :])
        bucket, name, size, digest = (said[key] for key in ("bucket", "name", "size", "digest"))
    except (KeyError, TypeError, ValueError):
        raise Unreadable("payload.malformed", "the payload names no object") from None
    if not BUCKET.match(bucket) or not name.startswith(f"{pool}.{id}."):
        raise Unreadable("payload.foreign", "the payload is no object of this job")
    if size > MAX_BYTES:
        raise Unreadable("payload.too_large", f"the payload has {size} bytes; this worker takes {MAX_BYTES}")
    try:
        store = await nc.jetstream().object_store(bucket)
        found = await store.get_info(name)
        if (found.size, found.digest) != (size, digest):
            raise Unreadable("payload.corrupt", "the payload is not what was sent")
        return (await store.get(name)).data
    except DigestMismatchError:
        raise Unreadable("payload.corrupt", "the payload is not what was sent") from None
    except NotFoundError:
        raise Unreadable("payload.missing", f"the payload is gone: {bucket}/{name}") from None
