package main

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"
)

const (
	// drainQuick is how long requests may go on undisturbed after the stop;
	// then streams and long polls, which do not end by themselves, are told.
	drainQuick = time.Second
	// drainLimit is when what is still running is cut off.
	drainLimit = 4 * time.Second
)

// httpServer is one handler on its listeners.
type httpServer struct {
	name      string
	listeners []net.Listener
	handler   http.Handler
	tls       *tls.Config
}

// serveHTTP serves until ctx ends, then stops accepting and drains all servers
// at once. It returns when nothing is running any more: nil after an orderly
// stop, else the first failure, which stops the other servers too.
func serveHTTP(ctx context.Context, log *slog.Logger, servers ...httpServer) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var wait sync.WaitGroup
	for _, s := range servers {
		wait.Go(func() {
			if err := s.serve(ctx, log); err != nil {
				cancel(err)
			}
		})
	}
	wait.Wait()
	if cause := context.Cause(ctx); !errors.Is(cause, context.Canceled) {
		return cause
	}
	return nil
}

// serve leaves ReadTimeout and WriteTimeout at zero, because both end event
// streams; handlers bound their bodies themselves.
func (s httpServer) serve(ctx context.Context, log *slog.Logger) error {
	requests, endRequests := context.WithCancel(context.WithoutCancel(ctx))
	defer endRequests()
	server := &http.Server{
		Handler:           closeAfterChunks(s.handler),
		TLSConfig:         s.tls,
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    64 << 10,
		ErrorLog:          slog.NewLogLogger(log.With("server", s.name).Handler(), slog.LevelDebug),
		BaseContext:       func(net.Listener) context.Context { return requests },

		DisableGeneralOptionsHandler: true, // "OPTIONS *" keeps the rules like any other request
	}
	failed := make(chan error, len(s.listeners))
	for _, l := range s.listeners {
		if s.tls != nil {
			l = tls.NewListener(l, s.tls)
		}
		go func() { failed <- server.Serve(l) }()
	}
	select {
	case err := <-failed:
		return errors.Join(err, server.Close())
	case <-ctx.Done():
	}
	tell := time.AfterFunc(drainQuick, endRequests)
	defer tell.Stop()
	limit, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainLimit)
	defer cancel()
	if err := server.Shutdown(limit); err != nil {
		log.Warn("requests were cut off", "server", s.name, "error", err)
		return server.Close()
	}
	return nil
}

// closeAfterChunks closes the connection after a request in chunks. If it has a
// Content-Length too, then what follows it may be part of it in the eyes of a
// proxy, and the connection must be closed (RFC 9112 §6.1); net/http does not
// tell, and goes on.
func closeAfterChunks(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.ProtoMajor == 1 && len(r.TransferEncoding) > 0 {
			w.Header().Set("Connection", "close")
		}
		next.ServeHTTP(w, r)
	})
}

// closeAll closes listeners that will not be served.
func closeAll(listeners []net.Listener) {
	for _, l := range listeners {
		_ = l.Close() // it may be closed already
	}
}
