"""How a program calls a manager or a meter: in the clear, or over TLS with a token or a client certificate."""

import argparse
from pathlib import Path

import grpc


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares --ca, --cert, --key and --token-file."""
    parser.add_argument("--ca", type=Path, help="CA certificates (PEM) of the server; without it the call is in the clear")
    parser.add_argument("--cert", type=Path, help="client certificate (PEM)")
    parser.add_argument("--key", type=Path, help="key of the client certificate (PEM)")
    parser.add_argument("--token-file", type=Path, help="file with the bearer token; needs --ca")


def open_channel(args: argparse.Namespace) -> grpc.Channel:
    """A channel to args.addr. A token in the clear could be read on the way, so it needs --ca."""
    if args.ca is None:
        if args.token_file is not None:
            raise SystemExit("--token-file needs --ca: a token in the clear can be read on the way")
        return grpc.insecure_channel(args.addr)
    key, cert = (path and path.read_bytes() for path in (args.key, args.cert))
    secure = grpc.ssl_channel_credentials(args.ca.read_bytes(), key, cert)
    if args.token_file is not None:
        token = grpc.access_token_call_credentials(args.token_file.read_text().strip())
        secure = grpc.composite_channel_credentials(secure, token)
    return grpc.secure_channel(args.addr, secure)
