package browser

import (
	"context"
	"fmt"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

// limit is how long one step in the browser may take. It takes milliseconds;
// the machine may have a lot else to do.
const limit = 30 * time.Second

// process is the one Chromium that all tests share. Each has a context of its
// own in it, with its own cookies.
type process struct {
	ctx  context.Context
	stop func()
	err  error
}

// chromium starts the process when a test first asks for it.
var chromium = sync.OnceValue(func() process {
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.NoSandbox, // its processes see our pages only
		chromedp.DisableGPU,
		chromedp.Flag("disable-quic", true),
		chromedp.Flag("disable-component-update", true),
		chromedp.Flag("disable-lcd-text", true),
		chromedp.Flag("font-render-hinting", "none"),
		chromedp.Flag("lang", "en-US"),
		chromedp.Flag("no-proxy-server", true),
		chromedp.Flag("host-resolver-rules", "MAP * ~NOTFOUND, EXCLUDE localhost, EXCLUDE 127.0.0.1"),
		chromedp.WSURLReadTimeout(limit),
	)
	allocator, stop := chromedp.NewExecAllocator(context.Background(), options...)
	ctx, cancel := chromedp.NewContext(allocator)
	p := process{ctx, func() { cancel(); stop() }, nil}
	if err := chromedp.Do(ctx); err != nil {
		p.err = fmt.Errorf("chromium does not start: %w", err)
	}
	return p
})

// TestMain ends Chromium, with the files that it has made.
func TestMain(m *testing.M) {
	code := m.Run()
	chromium().stop()
	os.Exit(code)
}
