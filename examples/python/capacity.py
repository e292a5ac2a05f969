"""Prints how busy the pools are, one line for each message of a meter, over gRPC.

    python capacity.py              # all pools
    python capacity.py --pool adder
    python capacity.py --addr meter:8090 --ca ca.pem --token-file viewer.token
"""

import argparse
import itertools
import sys
from collections.abc import Iterator
from pathlib import Path

import grpc

import edge

sys.path.insert(0, str(Path(__file__).parent / "gen"))
from solpipe import solpipe_pb2, solpipe_pb2_grpc  # noqa: E402


def follow(channel: grpc.Channel, pool: str) -> Iterator[float]:
    """Busy slots divided by all of them: now, on every change, and every 30 seconds."""
    with channel:
        stub = solpipe_pb2_grpc.WorkerStatusStub(channel)
        metadata = (("pool", pool),) if pool else ()
        for message in stub.OnStatus(solpipe_pb2.Empty(), metadata=metadata):
            yield message.capacity


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--addr", default="127.0.0.1:8090", help="host:port of a meter")
    parser.add_argument("--pool", default="", help="one pool; empty for all")
    parser.add_argument("--count", type=int, help="end after this many messages")
    edge.add_arguments(parser)
    args = parser.parse_args()
    try:
        for capacity in itertools.islice(follow(edge.open_channel(args), args.pool), args.count):
            print(f"capacity {capacity:.3f}", flush=True)
    except grpc.RpcError as error:
        print(f"{error.code().name}: {error.details()}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
