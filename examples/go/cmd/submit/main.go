// Submit sends one job to a manager over gRPC and prints its result:
//
//	go run ./cmd/submit adder 41
//	go run ./cmd/submit -addr manager:8080 -ca ca.pem -token-file ci.token adder 41
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"time"

	"example.com/poolmesh/edge"
	poolmeshv1 "example.com/poolmesh/gen/poolmesh/v1"
)

func main() {
	addr := flag.String("addr", "127.0.0.1:8080", "host:port of a manager")
	timeout := flag.Duration("timeout", 30*time.Second, "time to the job's deadline")
	caller := edge.Flags()
	flag.Parse()
	if flag.NArg() != 2 {
		fmt.Fprintln(os.Stderr, "usage: submit [-addr HOST:PORT] [-timeout 30s] [-ca FILE …] POOL PAYLOAD")
		os.Exit(2)
	}
	result, err := submit(*addr, caller, flag.Arg(0), []byte(flag.Arg(1)), *timeout)
	if err != nil {
		fmt.Fprintln(os.Stderr, edge.Explain(err))
		os.Exit(1)
	}
	fmt.Printf("%s\n", result.GetPayload())
}

func submit(addr string, caller *edge.Caller, pool string, payload []byte, timeout time.Duration) (*poolmeshv1.SubmitResponse, error) {
	conn, err := caller.Dial(addr)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	// The deadline of ctx travels with the call and becomes the job's; canceling ctx cancels the job.
	return poolmeshv1.NewManagerServiceClient(conn).Submit(ctx, &poolmeshv1.SubmitRequest{
		Pool:  pool,
		Input: &poolmeshv1.SubmitRequest_Payload{Payload: payload},
	})
}
