package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
)

// handler turns a payload into a result. Its context ends when the job is canceled or out of time.
type handler func(ctx context.Context, payload []byte) ([]byte, error)

// worker owns the slots of one process. All its fields below mu are guarded by it.
type worker struct {
	pool, id    string
	slots       int
	run         handler
	nc          *nats.Conn
	offers      *nats.Subscription
	incarnation int64
	jobs        sync.WaitGroup

	mu      sync.Mutex
	state   string
	seq     int64
	busy    int
	running map[string]running
}

// running is a job under way.
type running struct {
	attempt int
	end     context.CancelFunc
}

func newWorker(pool, id string, slots int, run handler) *worker {
	w := &worker{pool: pool, id: id, slots: slots, run: run, state: "WORKER_STATE_READY"}
	w.incarnation = time.Now().UnixMilli() * 1024
	w.running = map[string]running{}
	return w
}

// start subscribes to offers (shared with the pool's other workers), hand-offs and cancels, and beats.
func (w *worker) start(nc *nats.Conn) (err error) {
	w.nc = nc
	prefix := "pool." + w.pool + "."
	if w.offers, err = nc.QueueSubscribe(prefix+"job", "workers", w.take); err != nil {
		return err
	}
	if _, err = nc.Subscribe(prefix+"job."+w.id, w.take); err != nil {
		return err
	}
	if _, err = nc.Subscribe(prefix+"cancel.*", w.cancel); err != nil {
		return err
	}
	w.beat()
	return nc.Flush()
}

// take runs a job when a slot is free and says busy when none is. It answers inboxes only.
func (w *worker) take(m *nats.Msg) {
	if !strings.HasPrefix(m.Reply, "_INBOX.") || expired(m) {
		return
	}
	offered := m.Header.Get("Pool-Offer") == "1"
	ctx, taken := w.takeSlot(m)
	switch {
	case !taken && offered:
		w.reply(m, "busy", nil)
		return
	case !taken:
		w.fail(m, "pool_full", 429, "no free slot; submit to pool."+w.pool+".submit to wait")
		return
	case offered:
		w.reply(m, "accepted", nil)
	}
	w.jobs.Add(1)
	go func() {
		defer w.jobs.Done()
		result, err := w.run(ctx, m.Data)
		canceled := ctx.Err()
		w.giveSlot(m)
		switch {
		case canceled == context.Canceled:
			w.fail(m, "canceled", 499, "the job was canceled")
		case canceled != nil:
			w.fail(m, "deadline_exceeded", 504, "the job ran out of time")
		case err != nil:
			w.fail(m, "job_failed", 500, err.Error())
		default:
			w.reply(m, "result", result)
		}
		w.beat()
	}()
}

// cancel ends a job of ours; the handler sees it in its context. With an attempt it ends no later attempt.
func (w *worker) cancel(m *nats.Msg) {
	w.mu.Lock()
	defer w.mu.Unlock()
	job, here := w.running[m.Subject[strings.LastIndex(m.Subject, ".")+1:]]
	revoked, err := strconv.Atoi(m.Header.Get("Pool-Attempt"))
	if !here || (err == nil && job.attempt > revoked) {
		return
	}
	job.end()
	if strings.HasPrefix(m.Reply, "_INBOX.") {
		_ = m.RespondMsg(&nats.Msg{Header: nats.Header{"Pool-Reply": {"result"}, "Pool-Worker": {w.id}}})
	}
}

// drain takes nothing new, finishes what runs, and says goodbye.
func (w *worker) drain() error {
	w.setState("WORKER_STATE_DRAINING")
	if err := w.offers.Drain(); err != nil {
		return err
	}
	w.jobs.Wait()
	w.setState("WORKER_STATE_STOPPED")
	return w.nc.Flush()
}

func (w *worker) takeSlot(m *nats.Msg) (context.Context, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.busy >= w.slots || w.state != "WORKER_STATE_READY" {
		return nil, false
	}
	w.busy++
	ctx, end := context.WithTimeout(context.Background(), timeout(m))
	attempt, _ := strconv.Atoi(m.Header.Get("Pool-Attempt"))
	w.running[jobID(m)] = running{attempt, end}
	return ctx, true
}

func (w *worker) giveSlot(m *nats.Msg) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.running[jobID(m)].end()
	delete(w.running, jobID(m))
	w.busy--
}

func (w *worker) setState(state string) {
	w.mu.Lock()
	w.state = state
	w.mu.Unlock()
	w.beat()
}

// beat says in JSON how the worker is; protobuf would do as well.
func (w *worker) beat() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.seq++
	body := fmt.Sprintf(
		`{"pool":%q,"worker":%q,"incarnation":"%d","seq":"%d","state":%q,"slots":%d,"busy":%d,"heartbeatIntervalMs":1000}`,
		w.pool, w.id, w.incarnation, w.seq, w.state, w.slots, w.busy)
	_ = w.nc.PublishMsg(&nats.Msg{
		Subject: "pool." + w.pool + ".heartbeat." + w.id,
		Header:  nats.Header{"Content-Type": {"application/json"}},
		Data:    []byte(body),
	})
}
