package edge

import (
	"errors"

	"google.golang.org/grpc/status"

	poolmeshv1 "example.com/poolmesh/gen/poolmesh/v1"
)

// Explain finds what Poolmesh says of an error in the details of its gRPC status.
func Explain(err error) error {
	for _, detail := range status.Convert(err).Details() {
		if e, ok := detail.(*poolmeshv1.ErrorDetail); ok {
			return errors.New(e.GetReason() + ": " + e.GetMessage())
		}
	}
	return err
}
