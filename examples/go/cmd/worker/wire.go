package main

import (
	"cmp"
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
)

var (
	names  = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_-]{0,62}$`)
	start  = time.Now()
	number = regexp.MustCompile(`^\d{1,16}$`)
)

// order is a job as its headers describe it.
type order struct {
	attempt
	named, offered bool
	reply          string
	timeout        time.Duration
	clockMs        float64 // the sender's monotonic clock; NaN when it does not say it
	startWithinMs  float64 // how old the job may be when it starts
	expired        bool
}

// malformed is a header that cannot be read.
type malformed struct{ header string }

func (e malformed) Error() string { return fmt.Sprintf("header %s: malformed", e.header) }

// read takes a job's headers. A job without any is valid. What is malformed is answered and not guessed.
func read(m *nats.Msg) (o order, err error) {
	integer := func(header string, missing, least float64) float64 {
		text := m.Header.Get(header)
		if text == "" {
			return missing
		}
		value, _ := strconv.ParseFloat(text, 64)
		if !number.MatchString(text) || value < least {
			err = malformed{header}
		}
		return value
	}
	name := func(header, missing string) string {
		text := m.Header.Get(header)
		if text != "" && !names.MatchString(text) {
			err = malformed{header}
		}
		if text == "" {
			return missing
		}
		return text
	}
	plain := cmp.Or(m.Reply, nats.NewInbox()) // a plain request has no id, and its reply subject is as good
	o = order{
		attempt:       attempt{name("Pool-Job-Id", plain), name("Pool-Nonce", ""), int(integer("Pool-Attempt", 1, 1))},
		named:         m.Header.Get("Pool-Job-Id") != "",
		offered:       m.Header.Get("Pool-Offer") == "1",
		reply:         m.Reply,
		timeout:       time.Duration(integer("Pool-Timeout-Ms", 30_000, 1)) * time.Millisecond,
		clockMs:       integer("Pool-Clock", math.NaN(), 0),
		startWithinMs: integer("Pool-Start-Within-Ms", math.Inf(1), 0),
	}
	// Only a sender that gives nothing better is measured by wall clocks, which may differ by two seconds.
	expiresAt := integer("Pool-Expires-At", math.Inf(1), 0)
	o.expired = math.IsNaN(o.clockMs) && float64(time.Now().UnixMilli()) > expiresAt+2_000
	return o, err
}

// nowMs is a clock that never goes back.
func nowMs() float64 { return float64(time.Since(start).Microseconds()) / 1_000 }

// answerable tells a subject that may be answered: an inbox and nothing else.
func answerable(reply string) bool {
	return strings.HasPrefix(reply, "_INBOX.") || strings.HasPrefix(reply, "_R_.")
}

// send publishes one reply about an attempt: what it is, from whom, and how many slots are free now.
func (w *worker) send(to string, a attempt, kind string, data []byte, more nats.Header) {
	if !answerable(to) {
		return
	}
	w.mu.Lock()
	free := w.slots - len(w.known.running)
	w.mu.Unlock()
	header := nats.Header{"Pool-Reply": {kind}, "Pool-Worker": {w.id}, "Pool-Free": {strconv.Itoa(max(0, free))}}
	if a.id != "" && a.id != to {
		header["Pool-Job-Id"], header["Pool-Attempt"] = []string{a.id}, []string{strconv.Itoa(a.number)}
	}
	for name, values := range more {
		header[name] = values
	}
	_ = w.nc.PublishMsg(&nats.Msg{Subject: to, Header: header, Data: data})
}

// fail sends an error: in headers for programs, and in the body for a person.
func (w *worker) fail(to string, a attempt, reason string, code int, text string, more nats.Header) {
	header := nats.Header{
		"Pool-Error":              {reason},
		"Nats-Service-Error":      {text},
		"Nats-Service-Error-Code": {strconv.Itoa(code)},
	}
	for name, values := range more {
		header[name] = values
	}
	w.send(to, a, "error", []byte(reason+": "+text), header)
}

// tell sends an outcome to everybody who waits for it.
func (w *worker) tell(replies []string, a attempt, o outcome) {
	for _, to := range replies {
		if o.err == "" {
			w.send(to, a, "result", o.data, nil)
		} else {
			var more nats.Header
			if o.jobCode != "" {
				more = nats.Header{"Pool-Error-Code": {o.jobCode}}
			}
			w.fail(to, a, o.err, o.code, o.text, more)
		}
	}
}
