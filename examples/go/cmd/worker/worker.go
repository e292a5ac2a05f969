package main

import (
	"context"
	"errors"
	"math"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"google.golang.org/protobuf/encoding/protojson"

	poolmeshv1 "example.com/poolmesh/gen/poolmesh/v1"
)

// handler turns a payload into a result, and may report progress. Its context ends when the job is canceled or out of
// time.
type handler func(ctx context.Context, payload []byte, progress func([]byte)) ([]byte, error)

// worker owns the slots of one process. All its fields below mu are guarded by it.
type worker struct {
	pool, id    string
	run         handler
	nc          *nats.Conn
	offers      *nats.Subscription
	incarnation uint64
	jobs        sync.WaitGroup
	leaving     sync.Once
	left        chan struct{} // closed when somebody asked for a drain
	beating     sync.Mutex    // held while a heartbeat is made and sent

	mu    sync.Mutex
	state poolmeshv1.WorkerState
	seq   uint64
	slots int
	known registry
	ages  ages
}

func newWorker(pool, id string, slots int, run handler) *worker {
	return &worker{
		pool: pool, id: id, slots: slots, run: run,
		incarnation: uint64(time.Now().UnixMilli()) * 1024,
		left:        make(chan struct{}),
		state:       poolmeshv1.WorkerState_WORKER_STATE_READY,
		known:       newRegistry(),
		ages:        ages{},
	}
}

// start subscribes to offers (shared with the pool's other workers), assignments, cancels and control, and beats.
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

// take starts a job, refuses it, or repeats what it knows of it. It answers inboxes only.
func (w *worker) take(m *nats.Msg) {
	if m.Reply != "" && !answerable(m.Reply) {
		return
	}
	o, err := read(m)
	if err != nil {
		field := nats.Header{"Pool-Field": {err.(malformed).header}}
		w.fail(m.Reply, attempt{}, "invalid_argument", 400, err.Error(), field)
		return
	}
	if answer := w.decide(o, m.Data); answer != nil {
		answer()
	}
}

// decide is the order of the checks. It returns how the sender is answered; nil for not at all.
func (w *worker) decide(o order, payload []byte) (answer func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	age := 0.0
	if !math.IsNaN(o.clockMs) && o.reply != "" {
		age = w.ages.of(o.reply, o.clockMs, nowMs())
	}
	left := o.timeout - time.Duration(age*float64(time.Millisecond))
	job, runs := w.known.running[o.attempt]
	done, ended := w.known.ended[o.attempt]
	switch {
	case o.expired || left <= 0:
		return func() {
			w.fail(o.reply, o.attempt, "deadline_exceeded", 504, "the job had expired before it came", nil)
		}
	case w.known.isRevoked(o.attempt):
		return w.refuse(o, nil, "canceled", 499, "the job was canceled before it came")
	case runs && o.offered:
		job.replies = append(job.replies, o.reply)
		return func() { w.send(o.reply, o.attempt, "accepted", nil, nil) }
	case runs:
		return func() { w.fail(o.reply, o.attempt, "duplicate_job", 409, "this job is running", nil) }
	case ended && o.named && time.Since(done.at) <= keepFor:
		return func() { w.tell([]string{o.reply}, o.attempt, done.outcome) }
	case w.state != poolmeshv1.WorkerState_WORKER_STATE_READY:
		return w.refuse(o, nats.Header{"Pool-Free": {"0"}}, "draining", 503, "this worker takes nothing new")
	case o.offered && age > o.startWithinMs:
		// The lease is over: the manager may have sent the job elsewhere.
		return w.refuse(o, nats.Header{"Pool-Age-Ms": {strconv.Itoa(int(math.Ceil(age)))}}, "", 0, "")
	case len(w.known.running) >= w.slots:
		return w.refuse(o, nil, "pool_full", 429, "no free slot; submit to pool."+w.pool+".submit to wait")
	}
	return w.begin(o, payload, left)
}

// refuse says busy to who understands it, and the error to who does not. A revoked offer is not answered.
func (w *worker) refuse(o order, more nats.Header, reason string, code int, text string) func() {
	if o.offered && reason == "canceled" {
		return nil
	}
	if o.offered {
		return func() { w.send(o.reply, o.attempt, "busy", nil, more) }
	}
	return func() { w.fail(o.reply, o.attempt, reason, code, text, nil) }
}

// begin takes a slot. The job runs when its sender knows that it was accepted.
func (w *worker) begin(o order, payload []byte, left time.Duration) func() {
	ctx, end := context.WithTimeout(context.Background(), left)
	w.known.running[o.attempt] = &running{end: end, replies: []string{o.reply}, named: o.named, offered: o.offered}
	w.jobs.Add(1)
	return func() {
		if o.offered {
			w.send(o.reply, o.attempt, "accepted", nil, nil)
		}
		w.beat()
		go w.runJob(ctx, o.attempt, payload)
	}
}

// runJob runs one job to its outcome, which leaves when the slot is free again.
func (w *worker) runJob(ctx context.Context, a attempt, payload []byte) {
	defer w.jobs.Done()
	data, err := whole(ctx, w.nc, w.pool, a.id, payload)
	if err == nil {
		data, err = w.run(ctx, data, func(value []byte) { w.report(a, value) })
	}
	var end outcome
	var missing unreadable
	switch canceled := ctx.Err(); {
	case canceled == context.Canceled:
		end = outcome{err: "canceled", code: 499, text: "the job was canceled"}
	case canceled != nil:
		end = outcome{err: "deadline_exceeded", code: 504, text: "the job ran out of time"}
	case errors.As(err, &missing):
		end = outcome{err: "job_rejected", code: 422, text: missing.text, jobCode: missing.code}
	case err != nil:
		end = outcome{err: "job_failed", code: 500, text: err.Error()}
	default:
		end = outcome{data: data}
	}
	w.mu.Lock()
	job := w.known.running[a]
	job.end()
	delete(w.known.running, a)
	if job.named {
		w.known.keep(a, kept{end, job.replies, time.Now()})
	}
	w.mu.Unlock()
	w.tell(job.replies, a, end)
	w.beat()
}

// report tells an intermediate value to those who understand it.
func (w *worker) report(a attempt, value []byte) {
	w.mu.Lock()
	var replies []string
	if job := w.known.running[a]; job != nil && job.offered {
		replies = append(replies, job.replies...)
	}
	w.mu.Unlock()
	for _, to := range replies {
		w.send(to, a, "progress", value, nil)
	}
}

// cancel ends jobs of ours; the handler sees it in its context. With an attempt it ends no later one, with a nonce no
// other submission. What was revoked is remembered, since the job may come later.
func (w *worker) cancel(m *nats.Msg) {
	upTo := attempt{m.Subject[strings.LastIndex(m.Subject, ".")+1:], m.Header.Get("Pool-Nonce"), everyAttempt}
	if text := m.Header.Get("Pool-Attempt"); text != "" {
		last, err := strconv.Atoi(text)
		if err != nil || last < 1 {
			field := nats.Header{"Pool-Field": {"Pool-Attempt"}}
			w.fail(m.Reply, attempt{}, "invalid_argument", 400, "header Pool-Attempt: malformed", field)
			return
		}
		upTo.number = last
	}
	w.mu.Lock()
	found := w.known.revoke(upTo)
	w.mu.Unlock()
	if found {
		w.send(m.Reply, attempt{}, "result", nil, nil)
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

// setState changes the state and says so. It says whether it did: a worker that drains does nothing else.
func (w *worker) setState(state poolmeshv1.WorkerState) bool {
	w.mu.Lock()
	changes := w.state < poolmeshv1.WorkerState_WORKER_STATE_DRAINING || state > w.state
	if changes {
		w.state = state
	}
	w.mu.Unlock()
	w.beat()
	return changes
}

// beat says how the worker is; in JSON here, protobuf would do as well. One leaves after the other, so that seq rises.
func (w *worker) beat() {
	w.beating.Lock()
	defer w.beating.Unlock()
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

// heartbeat is how the worker is now; seq rises with every one. Version 2 of the protocol knows nonces and leases.
func (w *worker) heartbeat() *poolmeshv1.Heartbeat {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.seq++
	beat := &poolmeshv1.Heartbeat{
		Pool: w.pool, Worker: w.id, Incarnation: w.incarnation, Seq: w.seq, State: w.state,
		Slots: uint32(w.slots), Busy: uint32(len(w.known.running)), HeartbeatIntervalMs: 1000,
		ProtocolVersion: 2, SentAtMs: time.Now().UnixMilli(),
	}
	for a, job := range w.known.running {
		switch {
		case !job.named: // a plain request, which has no id of its own
		case len(beat.RunningJobs) == 64:
			beat.RunningTruncated = true
		default:
			beat.RunningJobs, beat.RunningNonces = append(beat.RunningJobs, a.id), append(beat.RunningNonces, a.nonce)
		}
	}
	return beat
}
