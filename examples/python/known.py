"""What a worker knows of attempts: those that have ended here, and those that were revoked."""

import time

from wire import NEVER


class Known:
    """Bounded in number and in age."""

    KEEP_S, MAX_KEPT = 10, 1_000
    # A cancel of a whole id holds only for as long as a job of it may be on its way: an id may be used again.
    REVOKED_S, CANCELED_S, MAX_REVOKED = 600, 10, 10_000

    def __init__(self):
        self.ended: dict[tuple, tuple] = {}
        self.revoked: dict[tuple[str, str], tuple[float, float]] = {}

    def keep(self, job, outcome: tuple) -> None:
        """Remembers a job's outcome, and who waits for it, for as long as it may be asked for again."""
        self.ended[job.order.key] = (time.monotonic() + self.KEEP_S, job, outcome)
        self.trim(self.ended, self.MAX_KEPT)

    def outcome(self, key: tuple) -> tuple | None:
        until_s, _, outcome = self.ended.get(key, (0, None, None))
        return outcome if time.monotonic() < until_s else None

    def ended_of(self, id: str, nonce: str) -> list[tuple]:
        """The jobs of a submission that have ended, each with its outcome."""
        return [(job, outcome) for key, (_, job, outcome) in self.ended.items() if key[:2] == (id, nonce)]

    def revoke(self, id: str, nonce: str, upto: float) -> None:
        """Attempts up to this one must not start; without a nonce those of every submission of the id."""
        for_s = self.CANCELED_S if nonce == "" and upto == NEVER else self.REVOKED_S
        before = self.revoked.pop((id, nonce), (0, 0))[1]
        self.revoked[id, nonce] = (time.monotonic() + for_s, max(before, upto))
        self.trim(self.revoked, self.MAX_REVOKED)

    def is_revoked(self, id: str, nonce: str, attempt: int) -> bool:
        said = (self.revoked.get(name, (0, 0)) for name in {(id, ""), (id, nonce)})
        return any(attempt <= upto and time.monotonic() < until_s for until_s, upto in said)

    @staticmethod
    def trim(entries: dict, limit: int) -> None:
        """Takes out the oldest: dictionaries keep the order in which things were put in."""
        while entries and (len(entries) > limit or next(iter(entries.values()))[0] < time.monotonic()):
            del entries[next(iter(entries))]
