package main

import (
	"strings"

	"github.com/nats-io/nats.go"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	poolmeshv1 "example.com/poolmesh/gen/poolmesh/v1"
)

// control answers what a manager, a meter or a person asks of this worker. To listen here is also a sign of life:
// a worker with nobody at its control subject counts as lost. The question is a ControlRequest in protobuf, or one
// word; the answer has the same form. Of all that may be asked this worker knows probe and drain.
func (w *worker) control(m *nats.Msg) {
	if !strings.HasPrefix(m.Reply, "_INBOX.") {
		return
	}
	request := &poolmeshv1.ControlRequest{}
	encode := proto.Marshal
	switch word := string(m.Data); {
	case word == "drain":
		request.Op = &poolmeshv1.ControlRequest_Drain_{}
		encode = protojson.Marshal
	case word == "probe":
		request.Op = &poolmeshv1.ControlRequest_Probe_{}
		encode = protojson.Marshal
	default:
		_ = proto.Unmarshal(m.Data, request)
	}
	switch request.GetOp().(type) {
	case *poolmeshv1.ControlRequest_Drain_:
		w.setState(poolmeshv1.WorkerState_WORKER_STATE_DRAINING)
		w.leaving.Do(func() { close(w.left) })
	case *poolmeshv1.ControlRequest_Probe_:
	default:
		w.fail(m, "invalid_argument", 400, "control: this worker knows probe and drain")
		return
	}
	answer, err := encode(&poolmeshv1.ControlResponse{Worker: w.heartbeat()})
	if err == nil {
		w.reply(m, "result", answer)
	}
}
