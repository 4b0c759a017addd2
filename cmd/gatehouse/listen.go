package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"syscall"
)

// listen opens address. The host localhost means 127.0.0.1 and ::1, on the
// same port even when a free one is picked; where ::1 does not exist,
// 127.0.0.1 has to do. It returns the port.
func listen(ctx context.Context, address string) ([]net.Listener, int, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, 0, usagef("%q is not an address such as localhost:9000", address)
	}
	if host != "localhost" {
		listener, err := bind(ctx, address)
		if err != nil {
			return nil, 0, err
		}
		return []net.Listener{listener}, portOf(listener), nil
	}
	const attempts = 10 // a free port of 127.0.0.1 may be taken on ::1
	for range attempts {
		listeners, err := listenBoth(ctx, port)
		switch {
		case err == nil:
			return listeners, portOf(listeners[0]), nil
		case port != "0" || !errors.Is(err, syscall.EADDRINUSE):
			return nil, 0, err
		}
	}
	return nil, 0, errors.New("found no port that is free on both 127.0.0.1 and ::1; name one")
}

func listenBoth(ctx context.Context, port string) ([]net.Listener, error) {
	v4, err := bind(ctx, net.JoinHostPort("127.0.0.1", port))
	if err != nil {
		return nil, err
	}
	v6, err := bind(ctx, net.JoinHostPort("::1", strconv.Itoa(portOf(v4))))
	switch {
	case err == nil:
		return []net.Listener{v4, v6}, nil
	case errors.Is(err, syscall.EADDRINUSE):
		return nil, errors.Join(err, v4.Close())
	}
	return []net.Listener{v4}, nil // no IPv6 on this machine
}

func bind(ctx context.Context, address string) (net.Listener, error) {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address)
	if errors.Is(err, syscall.EADDRINUSE) {
		return nil, fmt.Errorf("%s is in use (%w); stop what listens there or choose another address", address, syscall.EADDRINUSE)
	}
	return listener, err
}

// portOf returns the port of a TCP listener.
func portOf(l net.Listener) int { return int(netip.MustParseAddrPort(l.Addr().String()).Port()) }
