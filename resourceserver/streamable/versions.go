package streamable

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"
)

const (
	// warnEvery is how often the use of one deprecated revision is logged, and
	// maxWarned how many revisions are told apart: a rule may accept any text.
	warnEvery = time.Minute
	maxWarned = 64
)

// VersionVerdict is what a rule says about a protocol revision.
type VersionVerdict int

const (
	// VersionUnsupported answers 400 with the supported revisions.
	VersionUnsupported VersionVerdict = iota
	// VersionDeprecated serves the request and warns in the log.
	VersionDeprecated
	// VersionSupported serves the request.
	VersionSupported
)

// CheckVersions returns an error that names the first revision in one of the
// lists which the SDK does not know: [Handler] panics over it.
func CheckVersions(supported, deprecated []string) error {
	known := mcp.SupportedProtocolVersions()
	for _, version := range slices.Concat(supported, deprecated) {
		if !slices.Contains(known, version) {
			return fmt.Errorf("%q is not a known protocol version; there are %s", version, strings.Join(known, ", "))
		}
	}
	return nil
}

// versions decides which protocol revisions are served. What it lets through to
// the SDK is a revision that the SDK knows, or none.
type versions struct {
	known  []string                  // to the SDK, newest first
	listed map[string]VersionVerdict // by the options
	rule   func(string) VersionVerdict
	any    bool
	log    *slog.Logger

	mu     sync.Mutex
	warned map[string]time.Time // by deprecated revision
}

func newVersions(o *Options, log *slog.Logger) *versions {
	v := &versions{
		known: mcp.SupportedProtocolVersions(), listed: map[string]VersionVerdict{},
		rule: o.VersionRule, any: o.AnyVersion && o.VersionRule == nil, log: log, warned: map[string]time.Time{},
	}
	served := o.SupportedVersions
	if len(served) == 0 {
		served = v.known
	}
	for _, version := range served {
		v.listed[version] = VersionSupported
	}
	for _, version := range o.DeprecatedVersions {
		v.listed[version] = VersionDeprecated
	}
	return v
}

func (v *versions) verdict(version string) VersionVerdict {
	if v.rule != nil {
		return v.rule(version)
	}
	return v.listed[version]
}

// admit returns the revision in which a request is served that names one in
// its header: one of the SDK's, or empty if it is served as an old client's,
// which names none. It reports false if the request cannot be served.
func (v *versions) admit(ctx context.Context, named string) (version string, ok bool) {
	if named != "" {
		switch v.verdict(named) {
		case VersionSupported:
			version = named
		case VersionDeprecated:
			version = named
			v.warn(ctx, named)
		default:
			if !v.any {
				return "", false
			}
		}
	}
	if slices.Contains(v.known, version) {
		return version, true
	}
	return "", v.sessions()
}

// sessions reports whether a revision with sessions is served.
func (v *versions) sessions() bool {
	return slices.ContainsFunc(v.known, func(version string) bool { return v.opens(version) })
}

// opens reports whether a session may speak that revision.
func (v *versions) opens(version string) bool {
	return version < firstModern && slices.Contains(v.known, version) && v.verdict(version) != VersionUnsupported
}

// supported returns the revisions of list that are served, in its order.
func (v *versions) supported(list []string) []string {
	return slices.DeleteFunc(slices.Clone(list), func(version string) bool { return v.verdict(version) == VersionUnsupported })
}

// negotiate keeps what the SDK agrees to within what is served: the revision
// of a new session is the one that the client asks for if there can be
// sessions with it, otherwise the newest one (MCP 2025-11-25, lifecycle), and
// server/discover lists no other ones.
func (v *versions) negotiate(next mcp.MethodHandler) mcp.MethodHandler {
	return func(ctx context.Context, method string, req mcp.Request) (mcp.Result, error) {
		if r, ok := req.(*mcp.ServerRequest[*mcp.InitializeParams]); ok && r.Params != nil {
			params := *r.Params
			params.ProtocolVersion = v.agree(ctx, params.ProtocolVersion)
			r.Params = &params
		}
		result, err := next(ctx, method, req)
		if discovered, ok := result.(*mcp.DiscoverResult); ok && err == nil {
			discovered.SupportedVersions = v.supported(discovered.SupportedVersions)
		}
		return result, err
	}
}

func (v *versions) agree(ctx context.Context, requested string) string {
	agreed := requested
	if !v.opens(agreed) {
		if at := slices.IndexFunc(v.known, v.opens); at >= 0 {
			agreed = v.known[at]
		}
	}
	if v.verdict(agreed) == VersionDeprecated {
		v.warn(ctx, agreed)
	}
	return agreed
}

// warn logs the use of a deprecated revision, now and then.
func (v *versions) warn(ctx context.Context, version string) {
	now := time.Now()
	v.mu.Lock()
	defer v.mu.Unlock()
	if last, found := v.warned[version]; found && now.Sub(last) < warnEvery {
		return
	}
	if len(v.warned) >= maxWarned {
		maps.DeleteFunc(v.warned, func(_ string, last time.Time) bool { return now.Sub(last) >= warnEvery })
		if len(v.warned) >= maxWarned {
			return
		}
	}
	v.warned[version] = now
	v.log.LogAttrs(ctx, slog.LevelWarn, "a client speaks a deprecated protocol version", slog.String("version", version))
}

// isModern reports whether version reads like a revision without sessions,
// known or not: revisions are dates, and dates sort as text.
func isModern(version string) bool {
	_, err := time.Parse(time.DateOnly, version)
	return err == nil && version >= firstModern
}
