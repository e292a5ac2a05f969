package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Payloads over the broker's limit: what comes in their place names an object of JetStream (docs/protocol.md).
const (
	referencePrefix = "poolmesh-object/1 "
	maxLargeBytes   = 256 << 20
)

var payloadBucket = regexp.MustCompile(`^[A-Za-z0-9_-]{1,40}-(submitted|enqueued)$`)

// unreadable says that the payload is not there, or not what was sent: the job must not run.
type unreadable struct{ code, text string }

func (u unreadable) Error() string { return u.text }

// whole gives the payload of a job as it was sent: read from its object, when it names one.
func whole(ctx context.Context, nc *nats.Conn, pool, id string, payload []byte) ([]byte, error) {
	said, isReference := bytes.CutPrefix(payload, []byte(referencePrefix))
	if !isReference {
		return payload, nil
	}
	var object struct {
		Bucket, Name, Digest string
		Size                 uint64
	}
	if json.Unmarshal(said, &object) != nil {
		return nil, unreadable{"payload.malformed", "the payload names no object"}
	}
	if !payloadBucket.MatchString(object.Bucket) || !strings.HasPrefix(object.Name, pool+"."+id+".") {
		return nil, unreadable{"payload.foreign", "the payload is no object of this job"}
	}
	if object.Size > maxLargeBytes {
		text := fmt.Sprintf("the payload has %d bytes; this worker takes %d", object.Size, maxLargeBytes)
		return nil, unreadable{"payload.too_large", text}
	}
	data, err := fetch(ctx, nc, object.Bucket, object.Name, object.Size, object.Digest)
	if errors.Is(err, jetstream.ErrBucketNotFound) || errors.Is(err, jetstream.ErrObjectNotFound) {
		err = unreadable{"payload.missing", "the payload is gone: " + object.Bucket + "/" + object.Name}
	} else if errors.Is(err, jetstream.ErrDigestMismatch) {
		err = unreadable{"payload.corrupt", "the payload is not what was sent"}
	}
	return data, err
}

func fetch(ctx context.Context, nc *nats.Conn, bucket, name string, size uint64, digest string) ([]byte, error) {
	js, err := jetstream.New(nc)
	if err != nil {
		return nil, err
	}
	store, err := js.ObjectStore(ctx, bucket)
	if err != nil {
		return nil, err
	}
	found, err := store.GetInfo(ctx, name)
	if err != nil {
		return nil, err
	}
	if found.Size != size || found.Digest != digest {
		return nil, jetstream.ErrDigestMismatch
	}
	return store.GetBytes(ctx, name)
}
