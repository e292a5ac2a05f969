// Enqueue stores one job in the durable lane over gRPC, waits for its outcome, and prints its result:
//
//	go run ./cmd/enqueue adder 41
//	go run ./cmd/enqueue -id invoice-7 -addr manager:8080 -ca ca.pem -token-file ci.token adder 41
//
// The job is stored when Enqueue answers. A second run with the same id waits for the same job.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"example.com/poolmesh/edge"
	poolmeshv1 "example.com/poolmesh/gen/poolmesh/v1"
)

// retryAfter is the wait before a manager is called again that could not be reached.
const retryAfter = time.Second

func main() {
	addr := flag.String("addr", "127.0.0.1:8080", "host:port of a manager with --durable")
	id := flag.String("id", "", "the job's id: a second job with it is the same job; default made by the manager")
	timeout := flag.Duration("timeout", 10*time.Minute, "how long to wait for the outcome; the job goes on")
	caller := edge.Flags()
	flag.Parse()
	if flag.NArg() != 2 {
		fmt.Fprintln(os.Stderr, "usage: enqueue [-addr HOST:PORT] [-id ID] [-timeout 10m] [-ca FILE …] POOL PAYLOAD")
		os.Exit(2)
	}
	ctx, cancel := context.WithTimeout(context.Background(), *timeout)
	defer cancel()
	payload, err := enqueueAndWait(ctx, *addr, caller, flag.Arg(0), *id, []byte(flag.Arg(1)))
	if err != nil {
		fmt.Fprintln(os.Stderr, edge.Explain(err))
		os.Exit(1)
	}
	fmt.Printf("%s\n", payload)
}

func enqueueAndWait(ctx context.Context, addr string, caller *edge.Caller, pool, id string, payload []byte) ([]byte, error) {
	conn, err := caller.Dial(addr)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	lane := poolmeshv1.NewDurableServiceClient(conn)
	receipt, err := lane.Enqueue(ctx, &poolmeshv1.EnqueueRequest{
		Pool:  pool,
		JobId: id,
		Input: &poolmeshv1.EnqueueRequest_Payload{Payload: payload},
	})
	if err != nil {
		return nil, err
	}
	fmt.Fprintf(os.Stderr, "stored as %s\n", receipt.GetJobId())
	return wait(ctx, lane, pool, receipt.GetJobId())
}

// wait asks until the job has ended. The manager that stored it may be gone: any other one knows the job, too.
func wait(ctx context.Context, lane poolmeshv1.DurableServiceClient, pool, id string) ([]byte, error) {
	for {
		answer, err := lane.WaitOutcome(ctx, &poolmeshv1.WaitOutcomeRequest{
			Pool:  pool,
			JobId: id,
			Form:  poolmeshv1.PayloadForm_PAYLOAD_FORM_BYTES,
		})
		switch outcome := answer.GetOutcome(); {
		case status.Code(err) == codes.Unavailable:
			time.Sleep(retryAfter)
		case err != nil:
			return nil, err
		case outcome.GetError() != nil:
			return nil, errors.New(outcome.GetError().GetReason() + ": " + outcome.GetError().GetMessage())
		case outcome != nil:
			return outcome.GetResult().GetPayload(), nil
		}
	}
}
