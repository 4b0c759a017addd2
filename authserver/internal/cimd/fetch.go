package cimd

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"syscall"
	"time"

	"code.dny.dev/ssrf"

	"github.com/gatehouse-mcp/gatehouse/authserver/internal/clientmetadata"
)

// Bounds of what is fetched. The draft recommends 5 KB for a document; those
// in use are below 2 KB.
const (
	maxDocument = 10 << 10
	maxKeySet   = 64 << 10
	maxLogo     = 64 << 10
	maxHeader   = 16 << 10

	dialTimeout = 3 * time.Second
)

// Timeout bounds a whole fetch, from the look-up of the name to the last byte.
const Timeout = 5 * time.Second

// Config says what may be fetched; the zero value is any public host.
type Config struct {
	// AllowedHosts, when not empty, are the only hosts of documents;
	// DeniedHosts are never contacted. A name that begins with a dot stands for
	// all hosts below it.
	AllowedHosts, DeniedHosts []string
	// AllowLoopback allows URLs whose host is loopback.
	AllowLoopback bool
	// RootCAs verifies the hosts' certificates; nil means the system's.
	RootCAs *x509.CertPool
}

// Fetcher fetches. It is safe for concurrent use and has nothing to close.
type Fetcher struct {
	cfg            Config
	public, inside *http.Client // for public hosts and for this machine
	metadata       clientmetadata.Config
}

// New returns a fetcher.
func New(cfg Config) *Fetcher {
	return &Fetcher{
		cfg:      cfg,
		public:   newClient(cfg, ssrf.New(ssrf.WithPorts(443)).Safe),
		inside:   newClient(cfg, loopbackOnly),
		metadata: clientmetadata.Config{AllowLoopback: cfg.AllowLoopback},
	}
}

// newClient returns a client whose every connection passes control, which sees
// the address that is about to be dialled.
func newClient(cfg Config, control func(network, address string, c syscall.RawConn) error) *http.Client {
	dialer := &net.Dialer{Timeout: dialTimeout, Control: control}
	return &http.Client{
		Timeout: Timeout,
		Transport: &http.Transport{
			Proxy: nil, DialContext: dialer.DialContext,
			TLSClientConfig:        &tls.Config{RootCAs: cfg.RootCAs, MinVersion: tls.VersionTLS12},
			DisableKeepAlives:      true,
			DisableCompression:     true,
			MaxResponseHeaderBytes: maxHeader,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

func loopbackOnly(_, address string, _ syscall.RawConn) error {
	at, err := netip.ParseAddrPort(address)
	if err != nil || !at.Addr().Unmap().IsLoopback() {
		return errors.New("prohibited: the host is loopback by name only")
	}
	return nil
}

// answer is what a host said.
type answer struct {
	body      []byte
	mediaType string
	freshFor  time.Duration
}

// get fetches a URL: one request, at most limit bytes.
func (f *Fetcher) get(ctx context.Context, raw, accept string, limit int64) (answer, error) {
	u, err := f.address(raw)
	if err != nil {
		return answer{}, err
	}
	client := f.public
	if f.local(u) {
		client = f.inside
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, raw, nil)
	if err != nil {
		return answer{}, err
	}
	request.Header.Set("Accept", accept)
	request.Header.Set("User-Agent", "gatehouse")
	response, err := client.Do(request)
	if err != nil {
		return answer{}, err
	}
	defer response.Body.Close()
	switch encoding := response.Header.Get("Content-Encoding"); {
	case response.StatusCode != http.StatusOK:
		return answer{}, fmt.Errorf("the host answered %d instead of 200", response.StatusCode)
	case encoding != "" && encoding != "identity":
		return answer{}, errors.New("the host encoded what was not to be encoded")
	}
	body, err := io.ReadAll(io.LimitReader(response.Body, limit+1))
	if err != nil {
		return answer{}, err
	}
	if int64(len(body)) > limit {
		return answer{}, fmt.Errorf("the host sent more than %d bytes", limit)
	}
	mediaType, _, err := mime.ParseMediaType(response.Header.Get("Content-Type"))
	if err != nil {
		return answer{}, errors.New("the host sent no media type")
	}
	return answer{body, mediaType, freshness(response.Header, time.Now())}, nil
}

// getJSON is get for application/json and its kin.
func (f *Fetcher) getJSON(ctx context.Context, raw, accept string, limit int64) (answer, error) {
	got, err := f.get(ctx, raw, accept, limit)
	if err == nil && got.mediaType != "application/json" && !(strings.HasPrefix(got.mediaType, "application/") && strings.HasSuffix(got.mediaType, "+json")) {
		err = errors.New("the host sent another type than application/json")
	}
	return got, err
}
