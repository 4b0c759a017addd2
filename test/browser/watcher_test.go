package browser

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/audits"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
)

// watcher remembers what a browser has to complain of: messages in its console,
// what the Content-Security-Policy has stopped, what it had to block, and
// requests that leave this machine.
type watcher struct {
	mu         sync.Mutex // guards what follows
	complaints []string
	// quiet are parts of messages that the test is about.
	quiet []string
}

// see takes an event of the browser.
func (w *watcher) see(event any) {
	switch e := event.(type) {
	case *log.EventEntryAdded:
		// That the server has refused something is the server's answer, and
		// the page that it sent is looked at.
		if e.Entry.Level != log.EntryLevelVerbose && e.Entry.Level != log.EntryLevelInfo && !strings.Contains(e.Entry.Text, "the server responded with a status of 4") && !strings.Contains(e.Entry.Text, "the server responded with a status of 503") {
			w.complain("console: %s %s", e.Entry.Text, e.Entry.URL)
		}
	case *runtime.EventConsoleAPICalled:
		w.complain("console.%s is called", e.Type)
	case *runtime.EventExceptionThrown:
		w.complain("exception: %s", e.ExceptionDetails.Text)
	case *audits.EventIssueAdded:
		w.issue(e.Issue)
	case *network.EventRequestWillBeSent:
		if at, err := url.Parse(e.Request.URL); err != nil || !local(at) {
			w.complain("request to %s", e.Request.URL)
		}
	}
}

// issue takes a problem that the browser has found in a page.
func (w *watcher) issue(issue *audits.InspectorIssue) {
	if csp := issue.Details.ContentSecurityPolicyIssueDetails; csp != nil {
		w.complain("content security policy: %s stops %s", csp.ViolatedDirective, csp.BlockedURL)
		return
	}
	if form := issue.Details.GenericIssueDetails; form != nil {
		w.complain("issue: %s", form.ErrorType)
		return
	}
	w.complain("issue: %s", issue.Code)
}

// local reports whether an address is on this machine, or no address at all.
func local(at *url.URL) bool {
	switch at.Scheme {
	case "data", "about", "blob":
		return true
	}
	return at.Scheme == "http" && (at.Hostname() == "localhost" || at.Hostname() == "127.0.0.1")
}

func (w *watcher) complain(format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.complaints = append(w.complaints, fmt.Sprintf(format, args...))
}

// expect keeps quiet about messages that have this part.
func (w *watcher) expect(part string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.quiet = append(w.quiet, part)
}

// check fails the test for each complaint since the last check.
func (w *watcher) check(t *testing.T) {
	t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, c := range w.complaints {
		if !slices.ContainsFunc(w.quiet, func(part string) bool { return strings.Contains(c, part) }) {
			t.Errorf("the browser complains: %s", c)
		}
	}
	w.complaints = nil
}

// complains waits for a complaint of a kind, and forgets it and all others.
func (w *watcher) complains(t *testing.T, kind string) {
	t.Helper()
	deadline := time.Now().Add(limit)
	tick := time.NewTicker(15 * time.Millisecond)
	defer tick.Stop()
	for !w.heard(kind) {
		if <-tick.C; time.Now().After(deadline) {
			t.Fatalf("the browser does not complain of %s", kind)
		}
	}
}

func (w *watcher) heard(kind string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	heard := slices.ContainsFunc(w.complaints, func(c string) bool { return strings.Contains(c, kind) })
	if heard {
		w.complaints = nil
	}
	return heard
}
