package main

import (
	"strconv"
	"strings"

	"github.com/nats-io/nats.go"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	poolmeshv1 "example.com/poolmesh/gen/poolmesh/v1"
)

// control does what a manager, a meter or a person asks of this worker. To listen here is also a sign of life: a worker
// with nobody at its control subject counts as lost. The answer has the form of the question; words are answered in JSON.
func (w *worker) control(m *nats.Msg) {
	if !answerable(m.Reply) {
		return
	}
	request, encode := decode(m.Data)
	answer := w.perform(request)
	if answer == nil {
		text := "control: this worker knows probe, pause, resume, resize, drain and owed"
		w.fail(m.Reply, attempt{}, "invalid_argument", 400, text, nats.Header{"Pool-Field": {"control"}})
		return
	}
	answer.Worker = w.heartbeat()
	if body, err := encode(answer); err == nil {
		w.send(m.Reply, attempt{}, "result", body, nil)
	}
}

// decode reads a ControlRequest in protobuf, in protobuf's JSON, or as one word; what it cannot read has no operation.
func decode(data []byte) (*poolmeshv1.ControlRequest, func(proto.Message) ([]byte, error)) {
	request := &poolmeshv1.ControlRequest{}
	text := string(data)
	word, rest, _ := strings.Cut(text, " ")
	switch word {
	case "drain", "pause", "resume", "probe":
		text = `{"` + word + `":{}}`
	case "resize":
		if slots, err := strconv.Atoi(rest); err == nil {
			text = `{"resize":{"slots":` + strconv.Itoa(slots) + `}}`
		}
	}
	if strings.HasPrefix(text, "{") {
		_ = protojson.UnmarshalOptions{DiscardUnknown: true}.Unmarshal([]byte(text), request)
		return request, protojson.Marshal
	}
	if proto.Unmarshal(data, request) != nil {
		return &poolmeshv1.ControlRequest{}, proto.Marshal
	}
	return request, proto.Marshal
}

// perform does what is asked; nil when it is refused.
func (w *worker) perform(request *poolmeshv1.ControlRequest) *poolmeshv1.ControlResponse {
	switch op := request.GetOp().(type) {
	case *poolmeshv1.ControlRequest_Probe_:
	case *poolmeshv1.ControlRequest_Pause_:
		w.setState(poolmeshv1.WorkerState_WORKER_STATE_PAUSED)
	case *poolmeshv1.ControlRequest_Resume_:
		w.setState(poolmeshv1.WorkerState_WORKER_STATE_READY)
	case *poolmeshv1.ControlRequest_Drain_:
		w.setState(poolmeshv1.WorkerState_WORKER_STATE_DRAINING)
		w.leaving.Do(func() { close(w.left) })
	case *poolmeshv1.ControlRequest_Resize_:
		slots := int(op.Resize.GetSlots())
		if slots < 1 || slots > 65_535 {
			return nil
		}
		w.mu.Lock()
		w.slots = slots
		w.mu.Unlock()
		w.beat()
	case *poolmeshv1.ControlRequest_Owed_:
		return w.owed(op.Owed.GetJobIds(), op.Owed.GetNonces())
	default:
		return nil
	}
	return &poolmeshv1.ControlResponse{}
}

// owed says which submissions this worker knows, and tells again what became of them.
func (w *worker) owed(ids, nonces []string) *poolmeshv1.ControlResponse {
	answer := &poolmeshv1.ControlResponse{}
	for i, id := range ids {
		nonce := ""
		if i < len(nonces) {
			nonce = nonces[i]
		}
		if w.tellAgain(id, nonce) {
			answer.KnownJobIds = append(answer.KnownJobIds, id)
		} else {
			answer.UnknownJobIds = append(answer.UnknownJobIds, id)
		}
	}
	return answer
}

// tellAgain says accepted for the running attempts of a submission, and sends its kept outcomes.
func (w *worker) tellAgain(id, nonce string) bool {
	var again []func()
	w.mu.Lock()
	for a, job := range w.known.running {
		if a.id == id && a.nonce == nonce {
			to := job.replies[0]
			again = append(again, func() { w.send(to, a, "accepted", nil, nil) })
		}
	}
	for a, done := range w.known.ended {
		if a.id == id && a.nonce == nonce {
			again = append(again, func() { w.tell(done.replies, a, done.outcome) })
		}
	}
	w.mu.Unlock()
	for _, say := range again {
		say()
	}
	return len(again) > 0
}
