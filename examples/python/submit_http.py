"""Sends one job to a manager over plain HTTP with JSON and prints its result. Needs nothing but Python.

    python submit_http.py adder 41
"""

import argparse
import json
import sys
import urllib.error
import urllib.request


def submit(url: str, pool: str, value: object, timeout_s: float) -> object:
    """The result of one job, JSON in and JSON out."""
    request = urllib.request.Request(
        f"{url}/poolmesh.v1.ManagerService/Submit",
        data=json.dumps({"pool": pool, "json": value, "timeoutMs": int(timeout_s * 1000)}).encode(),
        headers={"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=timeout_s + 5) as response:
        return json.load(response).get("json")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", default="http://127.0.0.1:8080", help="address of a manager")
    parser.add_argument("--timeout", type=float, default=30, help="seconds to the job's deadline")
    parser.add_argument("pool")
    parser.add_argument("value", type=json.loads, help="any JSON")
    args = parser.parse_args()
    try:
        print(json.dumps(submit(args.url, args.pool, args.value, args.timeout)))
    except urllib.error.HTTPError as error:
        answer = json.load(error)  # {"code": "…", "message": "…", "details": [{"debug": {"reason": "…", …}}]}
        detail = answer["details"][0]["debug"]
        print(f"{detail['reason']}: {detail['message']}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
