"""Sends one job to a manager over gRPC and prints its result.

    python submit.py adder 41
    python submit.py --addr manager:8080 --ca ca.pem --token-file ci.token adder 41
"""

import argparse
import sys
from pathlib import Path

import grpc
from grpc_status import rpc_status

import edge

sys.path.insert(0, str(Path(__file__).parent / "gen"))
from poolmesh.v1 import error_pb2, manager_pb2, manager_pb2_grpc  # noqa: E402


def submit(channel: grpc.Channel, pool: str, payload: bytes, timeout_s: float) -> bytes:
    """The result of one job. The call's timeout is the job's; canceling the call cancels the job."""
    with channel:
        stub = manager_pb2_grpc.ManagerServiceStub(channel)
        request = manager_pb2.SubmitRequest(pool=pool, payload=payload)
        return stub.Submit(request, timeout=timeout_s).payload


def explain(error: grpc.RpcError) -> str:
    """What Poolmesh says of an error, from the details of its gRPC status."""
    status = rpc_status.from_call(error)
    for packed in status.details if status else ():
        detail = error_pb2.ErrorDetail()
        if packed.Unpack(detail):
            return f"{detail.reason}: {detail.message}"
    return f"{error.code().name}: {error.details()}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--addr", default="127.0.0.1:8080", help="host:port of a manager")
    parser.add_argument("--timeout", type=float, default=30, help="seconds to the job's deadline")
    edge.add_arguments(parser)
    parser.add_argument("pool")
    parser.add_argument("payload")
    args = parser.parse_args()
    try:
        print(submit(edge.open_channel(args), args.pool, args.payload.encode(), args.timeout).decode())
    except grpc.RpcError as error:
        print(explain(error), file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
