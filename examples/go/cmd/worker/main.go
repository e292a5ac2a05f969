// Worker is a worker of a pool in Go. It adds one to the number it gets:
//
//	go run ./cmd/worker -pool adder -slots 4
//
// It speaks version 2 of the wire of docs/protocol.md with nothing but a NATS client and the code generated from proto/.
package main

import (
	"context"
	"encoding/json"
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

// job is what the handler takes besides a plain number: a number, and how long to wait before it is added to.
type job struct {
	Number *float64 `json:"number"`
	WaitMs int64    `json:"waitMs"`
}

// addOne makes the handler: any function of a payload will do. It ends at once when ctx does.
func addOne(delay time.Duration) handler {
	return func(ctx context.Context, payload []byte, progress func([]byte)) ([]byte, error) {
		var wanted job
		if json.Unmarshal(payload, &wanted) != nil && json.Unmarshal(payload, &wanted.Number) != nil || wanted.Number == nil {
			return nil, errors.New("the payload is not a number")
		}
		if wanted.WaitMs > 0 {
			progress(fmt.Appendf(nil, `{"waitMs":%d}`, wanted.WaitMs))
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(delay + time.Duration(wanted.WaitMs)*time.Millisecond):
		}
		return []byte(fmt.Sprint(*wanted.Number + 1)), nil
	}
}
