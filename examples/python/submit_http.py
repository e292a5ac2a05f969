"""Sends one job to a manager over plain HTTP with JSON and prints its result. Needs nothing but Python.

    python submit_http.py adder 41
    python submit_http.py --url https://manager:8080 --ca ca.pem --token-file ci.token adder 41
"""

import argparse
import json
import ssl
import sys
import urllib.error
import urllib.request
from pathlib import Path


def submit(args: argparse.Namespace) -> object:
    """The result of one job, JSON in and JSON out."""
    headers = {"Content-Type": "application/json"}
    if args.token_file is not None:
        headers["Authorization"] = f"Bearer {args.token_file.read_text().strip()}"
    context = ssl.create_default_context(cafile=args.ca) if args.url.startswith("https:") else None
    request = urllib.request.Request(
        f"{args.url}/poolmesh.v1.ManagerService/Submit",
        data=json.dumps({"pool": args.pool, "json": args.value, "timeoutMs": int(args.timeout * 1000)}).encode(),
        headers=headers,
    )
    with urllib.request.urlopen(request, timeout=args.timeout + 5, context=context) as response:
        return json.load(response).get("json")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", default="http://127.0.0.1:8080", help="address of a manager")
    parser.add_argument("--timeout", type=float, default=30, help="seconds to the job's deadline")
    parser.add_argument("--ca", help="CA certificates (PEM) of an https URL; default those of the system")
    parser.add_argument("--token-file", type=Path, help="file with the bearer token; needs an https URL")
    parser.add_argument("pool")
    parser.add_argument("value", type=json.loads, help="any JSON")
    args = parser.parse_args()
    if args.token_file is not None and not args.url.startswith("https:"):
        parser.error("--token-file needs an https URL: a token in the clear can be read on the way")
    try:
        print(json.dumps(submit(args)))
    except urllib.error.HTTPError as error:
        answer = json.load(error)  # {"code": "…", "message": "…", "details": [{"debug": {"reason": "…", …}}]}
        detail = answer["details"][0]["debug"]
        print(f"{detail['reason']}: {detail['message']}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
