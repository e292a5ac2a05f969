package main

import "strings"

const (
	// drift is how far two clocks may drift apart, as a part of the time that passes.
	drift = 3e-4
	// longerWayMs: when all messages for so long were slower, the way has become longer.
	longerWayMs = 15_000
	maxSenders  = 10_000
)

// ages tells how old messages are when they come, without comparing clocks: the least difference between a sender's
// monotonic clock and ours stands for the difference of the clocks and the shortest way. Guarded by its worker's mu.
type ages map[string]*sender

type sender struct{ leastMs, leastAtMs, slowerFromMs, slowerLeastMs float64 }

// of is the age of a message in milliseconds; 0 for the first of a sender.
func (a ages) of(reply string, clockMs, nowMs float64) float64 {
	name, difference := senderOf(reply), nowMs-clockMs
	known := a[name]
	if known == nil {
		if len(a) >= maxSenders {
			clear(a)
		}
		a[name] = &sender{leastMs: difference, leastAtMs: nowMs}
		return 0
	}
	allowed := known.leastMs + (nowMs-known.leastAtMs)*drift
	if difference <= allowed {
		*known = sender{leastMs: difference, leastAtMs: nowMs}
		return 0
	}
	if known.slowerFromMs == 0 {
		known.slowerFromMs, known.slowerLeastMs = nowMs, difference
	}
	known.slowerLeastMs = min(known.slowerLeastMs, difference)
	if nowMs-known.slowerFromMs > longerWayMs {
		*known = sender{leastMs: known.slowerLeastMs, leastAtMs: nowMs}
		return 0
	}
	return difference - allowed
}

// senderOf is what all inboxes of one connection begin with: the reply subject without its last two tokens.
func senderOf(reply string) string {
	for range 2 {
		if dot := strings.LastIndexByte(reply, '.'); dot > 0 {
			reply = reply[:dot]
		}
	}
	return reply
}
