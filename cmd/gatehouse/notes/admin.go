package notes

import (
	"context"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// status is what admin_stats and admin/status tell.
type status struct {
	Status   string    `json:"status"` // "ok"
	Notes    int       `json:"notes"`
	Bytes    int       `json:"bytes"` // of all titles and texts
	Sessions int       `json:"sessions"`
	Started  time.Time `json:"started"`
	Uptime   int       `json:"uptime_seconds"`
}

type (
	adminParams  struct{ mcp.ParamsBase }
	statusResult struct {
		mcp.ResultBase
		status
	}
	restartResult struct {
		mcp.ResultBase
		Closed int `json:"closed_sessions"`
	}
)

// addAdmin adds the methods that are not part of the protocol.
func (n *notebook) addAdmin() error {
	err := mcp.AddReceivingCustomMethod(n.server, "admin/status",
		func(context.Context, *mcp.ServerSession, *adminParams) (*statusResult, error) {
			return &statusResult{status: n.status()}, nil
		})
	if err != nil {
		return err
	}
	return mcp.AddReceivingCustomMethod(n.server, "admin/restart",
		func(ctx context.Context, _ *mcp.ServerSession, _ *adminParams) (*restartResult, error) {
			sessions := n.sessions()
			// The caller's session may be one of them, and its answer goes
			// first: a request's context ends when it has been answered.
			context.AfterFunc(ctx, func() {
				for _, session := range sessions {
					if err := session.Close(); err != nil {
						n.log.Warn("a session did not close", "error", err)
					}
				}
			})
			return &restartResult{Closed: len(sessions)}, nil
		})
}

func (n *notebook) status() status {
	s := status{Status: "ok", Sessions: len(n.sessions()), Started: n.started.UTC(), Uptime: int(time.Since(n.started).Seconds())}
	for _, note := range n.book.snapshot() {
		s.Notes++
		s.Bytes += len(note.Title) + len(note.Text)
	}
	return s
}

// sessions returns those that outlive a request; modern clients have none.
func (n *notebook) sessions() []*mcp.ServerSession {
	var list []*mcp.ServerSession
	for session := range n.server.Sessions() {
		if session.ID() != "" {
			list = append(list, session)
		}
	}
	return list
}
