package main

import (
	"context"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"google.golang.org/protobuf/encoding/protojson"

	poolmeshv1 "example.com/poolmesh/gen/poolmesh/v1"
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
	incarnation uint64
	jobs        sync.WaitGroup
	leaving     sync.Once
	left        chan struct{} // closed when somebody asked for a drain

	mu      sync.Mutex
	state   poolmeshv1.WorkerState
	seq     uint64
	busy    int
	running map[string]running
}

// running is a job under way.
type running struct {
	attempt int
	end     context.CancelFunc
}

func newWorker(pool, id string, slots int, run handler) *worker {
	return &worker{
		pool: pool, id: id, slots: slots, run: run,
		incarnation: uint64(time.Now().UnixMilli()) * 1024,
		left:        make(chan struct{}),
		state:       poolmeshv1.WorkerState_WORKER_STATE_READY,
		running:     map[string]running{},
	}
}

// start subscribes to offers (shared with the pool's other workers), hand-offs, cancels and control, and beats.
func (w *worker) start(nc *nats.Conn) (err error) {
	w.nc = nc
	prefix := "pool." + w.pool + "."
	if w.offers, err = nc.QueueSubscribe(prefix+"job", "workers", w.take); err != nil {
		return err
	}
	alone := map[string]nats.MsgHandler{"job." + w.id: w.take, "cancel.*": w.cancel, "control." + w.id: w.control}
	for subject, handle := range alone {
		if _, err = nc.Subscribe(prefix+subject, handle); err != nil {
			return err
		}
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
	w.beat()
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
	w.setState(poolmeshv1.WorkerState_WORKER_STATE_DRAINING)
	if err := w.offers.Drain(); err != nil {
		return err
	}
	w.jobs.Wait()
	w.setState(poolmeshv1.WorkerState_WORKER_STATE_STOPPED)
	return w.nc.Flush()
}

func (w *worker) takeSlot(m *nats.Msg) (context.Context, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.busy >= w.slots || w.state != poolmeshv1.WorkerState_WORKER_STATE_READY {
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

func (w *worker) setState(state poolmeshv1.WorkerState) {
	w.mu.Lock()
	w.state = state
	w.mu.Unlock()
	w.beat()
}

// beat says how the worker is; in JSON here, protobuf would do as well.
func (w *worker) beat() {
	body, err := protojson.Marshal(w.heartbeat())
	if err != nil {
		return
	}
	_ = w.nc.PublishMsg(&nats.Msg{
		Subject: "pool." + w.pool + ".heartbeat." + w.id,
		Header:  nats.Header{"Content-Type": {"application/json"}},
		Data:    body,
	})
}

// heartbeat is how the worker is now; seq rises with every one.
func (w *worker) heartbeat() *poolmeshv1.Heartbeat {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.seq++
	beat := &poolmeshv1.Heartbeat{
		Pool: w.pool, Worker: w.id, Incarnation: w.incarnation, Seq: w.seq, State: w.state,
		Slots: uint32(w.slots), Busy: uint32(w.busy), HeartbeatIntervalMs: 1000,
	}
	for id := range w.running {
		switch {
		case strings.HasPrefix(id, "_INBOX."): // a plain request, which has no id of its own
		case len(beat.RunningJobs) == 64:
			beat.RunningTruncated = true
		default:
			beat.RunningJobs = append(beat.RunningJobs, id)
		}
	}
	return beat
}
