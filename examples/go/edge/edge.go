// Package edge says how a program calls a manager or a meter: in the clear, or over TLS with a
// token or a client certificate.
package edge

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"flag"
	"os"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
)

// Caller is what a program shows of itself.
type Caller struct {
	caFile, certFile, keyFile, tokenFile string
}

// Flags declares the flags -ca, -cert, -key and -token-file.
func Flags() *Caller {
	c := &Caller{}
	flag.StringVar(&c.caFile, "ca", "", "CA certificates (PEM) of the server; without it the call is in the clear")
	flag.StringVar(&c.certFile, "cert", "", "client certificate (PEM)")
	flag.StringVar(&c.keyFile, "key", "", "key of the client certificate (PEM)")
	flag.StringVar(&c.tokenFile, "token-file", "", "file with the bearer token; needs -ca")
	return c
}

// Dial opens a connection to addr, host:port.
func (c *Caller) Dial(addr string) (*grpc.ClientConn, error) {
	options, err := c.dialOptions()
	if err != nil {
		return nil, err
	}
	return grpc.NewClient(addr, options...)
}

func (c *Caller) dialOptions() ([]grpc.DialOption, error) {
	if c.caFile == "" {
		if c.tokenFile != "" {
			return nil, errors.New("-token-file needs -ca: a token in the clear can be read on the way")
		}
		return []grpc.DialOption{grpc.WithTransportCredentials(insecure.NewCredentials())}, nil
	}
	config, err := c.tlsConfig()
	if err != nil {
		return nil, err
	}
	options := []grpc.DialOption{grpc.WithTransportCredentials(credentials.NewTLS(config))}
	if c.tokenFile != "" {
		options = append(options, grpc.WithPerRPCCredentials(bearer(c.tokenFile)))
	}
	return options, nil
}

func (c *Caller) tlsConfig() (*tls.Config, error) {
	pem, err := os.ReadFile(c.caFile)
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(pem) {
		return nil, errors.New("-ca: no certificate in the file")
	}
	config := &tls.Config{RootCAs: roots}
	if c.certFile == "" {
		return config, nil
	}
	pair, err := tls.LoadX509KeyPair(c.certFile, c.keyFile)
	if err != nil {
		return nil, err
	}
	config.Certificates = []tls.Certificate{pair}
	return config, nil
}

// bearer is the file that holds a token. It is read for every call, so a token that is renewed counts.
type bearer string

func (b bearer) GetRequestMetadata(context.Context, ...string) (map[string]string, error) {
	token, err := os.ReadFile(string(b))
	if err != nil {
		return nil, err
	}
	return map[string]string{"authorization": "Bearer " + strings.TrimSpace(string(token))}, nil
}

// RequireTransportSecurity keeps tokens out of the clear.
func (b bearer) RequireTransportSecurity() bool { return true }
