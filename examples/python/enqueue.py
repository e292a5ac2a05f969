"""Stores one job in the durable lane over gRPC, waits for its outcome, and prints its result.

    python enqueue.py adder 41
    python enqueue.py --id invoice-7 --addr manager:8080 --ca ca.pem --token-file ci.token adder 41

The job is stored when Enqueue answers. A second run with the same id waits for the same job.
"""

import argparse
import sys
import time
from pathlib import Path

import grpc

import edge
from submit import explain

sys.path.insert(0, str(Path(__file__).parent / "gen"))
from poolmesh.v1 import durable_pb2, durable_pb2_grpc  # noqa: E402

# The wait before a manager is called again that could not be reached, in seconds.
RETRY_AFTER_S = 1


def enqueue(channel: grpc.Channel, pool: str, job_id: str, payload: bytes) -> bytes:
    """The result of one job, which is stored first. Raises RuntimeError with the reason of a job that failed."""
    with channel:
        lane = durable_pb2_grpc.DurableServiceStub(channel)
        receipt = lane.Enqueue(durable_pb2.EnqueueRequest(pool=pool, job_id=job_id, payload=payload))
        print(f"stored as {receipt.job_id}", file=sys.stderr)
        return wait(lane, pool, receipt.job_id)


def wait(lane: durable_pb2_grpc.DurableServiceStub, pool: str, job_id: str) -> bytes:
    """Asks until the job has ended. The manager that stored it may be gone: any other one knows the job, too."""
    request = durable_pb2.WaitOutcomeRequest(pool=pool, job_id=job_id, form=durable_pb2.PAYLOAD_FORM_BYTES)
    while True:
        try:
            answer = lane.WaitOutcome(request)
        except grpc.RpcError as error:
            if error.code() is not grpc.StatusCode.UNAVAILABLE:
                raise
            time.sleep(RETRY_AFTER_S)
            continue
        if not answer.HasField("outcome"):
            continue
        if answer.outcome.HasField("error"):
            raise RuntimeError(f"{answer.outcome.error.reason}: {answer.outcome.error.message}")
        return answer.outcome.result.payload


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--addr", default="127.0.0.1:8080", help="host:port of a manager with --durable")
    parser.add_argument("--id", default="", help="the job's id: a second job with it is the same job")
    edge.add_arguments(parser)
    parser.add_argument("pool")
    parser.add_argument("payload")
    args = parser.parse_args()
    try:
        print(enqueue(edge.open_channel(args), args.pool, args.id, args.payload.encode()).decode())
    except (grpc.RpcError, RuntimeError) as error:
        print(explain(error) if isinstance(error, grpc.RpcError) else error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
