package main

import (
	"context"
	"time"
)

const (
	// keepFor is how long an outcome can be sent again.
	keepFor = 10 * time.Second
	maxKept = 1_000
	// A revocation is remembered for minutes; a cancel of a whole id only for as long as a job of it may be on its way.
	revokedFor   = 10 * time.Minute
	canceledFor  = 10 * time.Second
	maxRevoked   = 10_000
	everyAttempt = 1 << 30
)

// attempt names one attempt of one submission: the same id with another nonce is another job.
type attempt struct {
	id, nonce string
	number    int
}

// running is a job that holds a slot. Everybody who sent this attempt hears its outcome.
type running struct {
	end            context.CancelFunc
	replies        []string
	named, offered bool
}

// outcome is how a job ended; err is "" for a result.
type outcome struct {
	data      []byte
	err, text string
	code      int
	jobCode   string // "" for none
}

type kept struct {
	outcome
	replies []string
	at      time.Time
}

// registry is what a worker knows of attempts: those that run, that have ended, and that were revoked. Guarded by mu.
type registry struct {
	running map[attempt]*running
	ended   map[attempt]kept
	revoked map[attempt]time.Time // the number is that of the last revoked attempt, the time is until when that holds
}

func newRegistry() registry {
	return registry{map[attempt]*running{}, map[attempt]kept{}, map[attempt]time.Time{}}
}

// keep remembers the outcome of an attempt for a while.
func (r *registry) keep(a attempt, k kept) {
	for old, each := range r.ended {
		if time.Since(each.at) > keepFor || len(r.ended) >= maxKept {
			delete(r.ended, old)
		}
	}
	r.ended[a] = k
}

// revoke ends the attempts up to upTo.number of a submission, of every one when it has no nonce. It says whether there was one.
func (r *registry) revoke(upTo attempt) (found bool) {
	for a, job := range r.running {
		if a.id == upTo.id && (upTo.nonce == "" || upTo.nonce == a.nonce) && a.number <= upTo.number {
			job.end()
			found = true
		}
	}
	now, until := time.Now(), revokedFor
	if upTo.nonce == "" && upTo.number == everyAttempt {
		until = canceledFor
	}
	for old, end := range r.revoked {
		if now.After(end) || len(r.revoked) >= maxRevoked {
			delete(r.revoked, old)
		}
	}
	r.revoked[upTo] = now.Add(until)
	return found
}

// isRevoked tells an attempt that must not start.
func (r *registry) isRevoked(a attempt) bool {
	for upTo, until := range r.revoked {
		if a.id == upTo.id && (upTo.nonce == "" || upTo.nonce == a.nonce) && a.number <= upTo.number && time.Now().Before(until) {
			return true
		}
	}
	return false
}
