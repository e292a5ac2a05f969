// Worker is a worker of a pool in Go. It adds one to the number it gets:
//
//	go run ./cmd/worker -pool adder -slots 4
//
// It speaks the wire of docs/protocol.md with nothing but a NATS client and the code generated from proto/.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/nats-io/nats.go"
)

func main() {
	url := flag.String("nats", os.Getenv("NATS_URL"), "URL of the NATS broker")
	pool := flag.String("pool", "adder", "pool to serve")
	id := flag.String("id", fmt.Sprintf("go-%d", os.Getpid()), "this worker's id, unique in its pool")
	slots := flag.Int("slots", 1, "jobs that run at once")
	delay := flag.Duration("delay", 0, "time that each job takes, to watch the pool at work")
	flag.Parse()
	if err := serve(*url, newWorker(*pool, *id, *slots, addOne(*delay))); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// serve takes jobs until SIGINT, SIGTERM or a request to drain, then finishes what runs.
func serve(url string, w *worker) error {
	nc, err := nats.Connect(url, nats.MaxReconnects(-1))
	if err != nil {
		return err
	}
	defer nc.Close()
	if err := w.start(nc); err != nil {
		return err
	}
	fmt.Printf("ready: worker %s of pool %s\n", w.id, w.pool)
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, os.Interrupt, syscall.SIGTERM)
	ticker := time.NewTicker(time.Second)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			w.beat()
		case <-w.left:
			return w.drain()
		case <-stop:
			return w.drain()
		}
	}
}

// addOne makes the handler: any function of a payload will do. It ends at once when ctx does.
func addOne(delay time.Duration) handler {
	return func(ctx context.Context, payload []byte) ([]byte, error) {
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(delay):
		}
		var number float64
		if _, err := fmt.Sscan(string(payload), &number); err != nil {
			return nil, errors.New("the payload is not a number")
		}
		return []byte(fmt.Sprint(number + 1)), nil
	}
}
