package main

import (
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
)

func (w *worker) reply(m *nats.Msg, kind string, data []byte) {
	_ = m.RespondMsg(&nats.Msg{Header: w.headers(m, kind), Data: data})
}

func (w *worker) fail(m *nats.Msg, reason string, code int, text string) {
	header := w.headers(m, "error")
	header["Pool-Error"] = []string{reason}
	header["Nats-Service-Error"] = []string{text}
	header["Nats-Service-Error-Code"] = []string{strconv.Itoa(code)}
	_ = m.RespondMsg(&nats.Msg{Header: header, Data: []byte(reason + ": " + text)})
}

// headers say what a reply is, to which attempt, from whom, and how many slots are free now.
func (w *worker) headers(m *nats.Msg, kind string) nats.Header {
	w.mu.Lock()
	defer w.mu.Unlock()
	header := nats.Header{"Pool-Reply": {kind}, "Pool-Worker": {w.id}, "Pool-Free": {strconv.Itoa(w.slots - w.busy)}}
	for _, name := range []string{"Pool-Job-Id", "Pool-Attempt"} {
		if value := m.Header.Get(name); value != "" {
			header[name] = []string{value}
		}
	}
	return header
}

// expired tells a job that nobody may start any more; clocks may differ by two seconds.
func expired(m *nats.Msg) bool {
	at, err := strconv.ParseInt(m.Header.Get("Pool-Expires-At"), 10, 64)
	return err == nil && time.Now().UnixMilli() > at+2000
}

// timeout is the time that the job has left.
func timeout(m *nats.Msg) time.Duration {
	if ms, err := strconv.ParseInt(m.Header.Get("Pool-Timeout-Ms"), 10, 64); err == nil && ms > 0 {
		return time.Duration(ms) * time.Millisecond
	}
	return 30 * time.Second
}

// jobID is the job's id; a plain request has none, and its reply subject is as good.
func jobID(m *nats.Msg) string {
	if id := m.Header.Get("Pool-Job-Id"); id != "" {
		return id
	}
	return m.Reply
}
