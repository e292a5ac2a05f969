// Capacity prints how busy the pools are, one line for each message of a meter, over gRPC:
//
//	go run ./cmd/capacity              # solpipe.WorkerStatus: all pools
//	go run ./cmd/capacity -pool adder  # one pool
//	go run ./cmd/capacity -watch       # poolmesh.v1.MeterService: every pool by name
//	go run ./cmd/capacity -addr meter:8090 -ca ca.pem -token-file viewer.token
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"

	"example.com/poolmesh/edge"
	poolmeshv1 "example.com/poolmesh/gen/poolmesh/v1"
	"example.com/poolmesh/gen/solpipe"
)

func main() {
	addr := flag.String("addr", "127.0.0.1:8090", "host:port of a meter")
	pool := flag.String("pool", "", "one pool; empty for all")
	count := flag.Int("count", 0, "end after this many messages; 0 for never")
	watch := flag.Bool("watch", false, "use MeterService instead of WorkerStatus")
	caller := edge.Flags()
	flag.Parse()
	conn, err := caller.Dial(*addr)
	if err == nil {
		defer conn.Close()
		follow := status
		if *watch {
			follow = capacity
		}
		err = follow(conn, *pool, *count)
	}
	if err != nil && err != io.EOF {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// status follows the stream that clients of the Go library know: busy slots divided by all, 1 without any.
func status(conn *grpc.ClientConn, pool string, count int) error {
	ctx := context.Background()
	if pool != "" {
		ctx = metadata.AppendToOutgoingContext(ctx, "pool", pool)
	}
	stream, err := solpipe.NewWorkerStatusClient(conn).OnStatus(ctx, &solpipe.Empty{})
	if err != nil {
		return err
	}
	for seen := 0; count == 0 || seen < count; seen++ {
		message, err := stream.Recv()
		if err != nil {
			return err
		}
		fmt.Printf("capacity %.3f\n", message.GetCapacity())
	}
	return nil
}

// capacity follows every pool by name: a snapshot, then what changed.
func capacity(conn *grpc.ClientConn, pool string, count int) error {
	request := &poolmeshv1.WatchCapacityRequest{Pool: pool}
	stream, err := poolmeshv1.NewMeterServiceClient(conn).WatchCapacity(context.Background(), request)
	if err != nil {
		return err
	}
	for seen := 0; count == 0 || seen < count; seen++ {
		message, err := stream.Recv()
		if err != nil {
			return err
		}
		for _, p := range message.GetPools() {
			fmt.Printf("%s: %d of %d slots busy, %d parked\n", p.GetPool(), p.GetBusy(), p.GetSlots(), p.GetParked())
		}
		if len(message.GetPools()) == 0 {
			fmt.Println("no change")
		}
	}
	return nil
}
