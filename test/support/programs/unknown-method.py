"""Calls what a server does not serve, and prints the status that gRPC makes of the answer."""

import sys

import grpc

channel = grpc.insecure_channel(sys.argv[1])
for path in sys.argv[2:]:
    call = channel.unary_unary(path, request_serializer=bytes, response_deserializer=bytes)
    try:
        call(b"", timeout=10)
        print("OK")
    except grpc.RpcError as error:
        print(error.code().name)
