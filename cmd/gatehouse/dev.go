package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gatehouse-mcp/gatehouse/cmd/gatehouse/oauthclient"
	"github.com/gatehouse-mcp/gatehouse/cmd/gatehouse/settings"
	"github.com/gatehouse-mcp/gatehouse/resourceserver"
	"github.com/gatehouse-mcp/gatehouse/storage"
)

// readyPatience bounds the start of dev.
const readyPatience = 30 * time.Second

type devCommand struct {
	sealKeyFlags
	IssuerAddr   string `default:"localhost:9000" placeholder:"ADDR" help:"Address of the authorization server; port 0 picks a free one."`
	ResourceAddr string `default:"localhost:3001" placeholder:"ADDR" help:"Address of the resource server; port 0 picks a free one."`
	EnvFile      string `placeholder:"FILE" help:"Where to write addresses and credentials, as shell variables; default DIR/env."`

	// demonstration adds a resource that nobody serves, and gives the clients
	// names that no other process has.
	demonstration bool
}

// Run runs both servers until a signal comes.
func (c *devCommand) Run(ctx context.Context, p *process) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	d, err := c.start(ctx, p)
	if err != nil {
		return err
	}
	d.work = append(d.work, func(ctx context.Context) {
		if err := d.announce(ctx, p); err != nil && ctx.Err() == nil { // not stopped before it was ready
			cancel(err) // which run returns
		}
	})
	return errors.Join(d.run(ctx), d.close())
}

// development is a pair that lives on this machine, with its demo clients.
type development struct {
	*pair
	settings settings.Settings
	envFile  string
	values   []variable // of the env file
	clients  demoClientSet
}

// start opens everything; nothing is served yet, but connections wait.
func (c *devCommand) start(ctx context.Context, p *process) (*development, error) {
	s, err := p.settings()
	if err != nil {
		return nil, err
	}
	tuneMemory(s.Memory, p.getenv)
	if err := os.MkdirAll(p.Data, 0o700); err != nil {
		return nil, err
	}
	r, err := p.newPair(s, true)
	if err != nil {
		return nil, err
	}
	d := &development{pair: r, settings: s, envFile: c.EnvFile}
	if d.envFile == "" {
		d.envFile = filepath.Join(p.Data, "env")
	}
	if err := c.open(ctx, p, d); err != nil {
		return nil, errors.Join(err, d.close())
	}
	return d, nil
}

func (c *devCommand) open(ctx context.Context, p *process, d *development) error {
	issuer, issuerURL, err := listenLoopback(ctx, c.IssuerAddr)
	if err != nil {
		return err
	}
	d.closers = append(d.closers, listenerSet(issuer))
	resource, resourceURL, err := listenLoopback(ctx, c.ResourceAddr)
	if err != nil {
		return err
	}
	d.closers = append(d.closers, listenerSet(resource))
	// The ports are ours now, so an old file describes no running process.
	if err := os.Remove(d.envFile); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	s := &d.settings
	s.Issuer = issuerURL
	s.Resources = []settings.Resource{{Identifier: resourceURL + "/mcp", Name: "your notes"}}
	s.ResourceServer.Audience = resourceURL + "/mcp"
	names := demoNames
	if c.demonstration {
		names += "-" + strings.ToLower(rand.Text()[:10])
		s.Resources = append(s.Resources, settings.Resource{Identifier: resourceURL + "/other"})
	}
	weaken(s)
	s.ResourceServer.Notes = filepath.Join(p.Data, "notes.json")

	seal, err := c.devSealKeys(p, *s)
	if err != nil {
		return err
	}
	store, err := c.openStore(ctx, p, d)
	if err != nil {
		return err
	}
	clients, err := demoClients(ctx, store, names, s.Issuer, s.Audience(), seal[0])
	if err != nil {
		return storeError(errors.Join(err, store.Close()))
	}
	person, err := demoUser(ctx, store, names, seal[0])
	if err != nil {
		return storeError(errors.Join(err, store.Close()))
	}
	d.clients = clients
	d.values = append([]variable{{"ISSUER", s.Issuer}, {"RESOURCE", s.Audience()}}, clients.variables()...)
	d.values = append(d.values, person...)
	if err := d.addAuthserver(ctx, *s, store, seal, issuer); err != nil {
		return err
	}
	own := clients.find(introspectPrefix)
	return d.addResourceserver(ctx, *s, &resourceserver.ClientCredentials{ClientID: own.ID, ClientSecret: own.secret}, resource)
}

// devSealKeys makes DIR/seal.key on the first start unless the keys come from
// elsewhere.
func (c *devCommand) devSealKeys(p *process, s settings.Settings) ([][]byte, error) {
	if p.getenv("GATEHOUSE_SEAL_KEY") == "" && c.SealKeyFile == "" && s.SealKeyFile == "" {
		if err := createSealKey(devSealKeyFile(p.Data)); err != nil {
			return nil, err
		}
	}
	return c.sealKeys(p, s)
}

func (c *devCommand) openStore(ctx context.Context, p *process, d *development) (storage.Store, error) {
	at, err := p.place(d.settings)
	if err != nil {
		return nil, err
	}
	if err := at.migrateUp(ctx, nil); err != nil {
		return nil, err
	}
	return at.open(ctx, d.log)
}

// listenLoopback listens for this machine only, because dev is not safe for
// others, and returns the origin of what is served there.
func listenLoopback(ctx context.Context, address string) ([]net.Listener, string, error) {
	host, _, err := net.SplitHostPort(address)
	if err != nil || !settings.IsLoopback(host) {
		return nil, "", usagef("%q is not an address of this machine such as localhost:9000; dev serves nobody else, see gatehouse serve", address)
	}
	listeners, port, err := listen(ctx, address)
	if err != nil {
		return nil, "", err
	}
	return listeners, "http://" + net.JoinHostPort(host, strconv.Itoa(port)), nil
}

// listenerSet closes listeners.
type listenerSet []net.Listener

// Close closes all; those that are closed already do not mind.
func (l listenerSet) Close() error {
	closeAll(l)
	return nil
}

// announce waits until both servers answer, writes the env file and only then
// says so.
func (d *development) announce(ctx context.Context, p *process) error {
	if err := d.awaitReady(ctx); err != nil {
		return err
	}
	admin, err := d.adminToken(ctx)
	if err != nil {
		return err
	}
	person := len(d.values) - 2 // name and password stay at the end
	d.values = slices.Insert(d.values, person, variable{adminPrefix + "TOKEN", admin})
	if err := writeAtomically(d.envFile, shellVariables(d.values)); err != nil {
		return err
	}
	d.teach(p.stderr)
	_, err = fmt.Fprintln(p.stdout, "ready")
	return err
}

// adminToken gets an access token for the admin API, as an operator's program
// would. It lives as long as a token may.
func (d *development) adminToken(ctx context.Context) (string, error) {
	client := d.clients.find(adminPrefix)
	_, token, err := fetchToken(ctx, d.settings.Issuer, oauthclient.Credentials{ClientID: client.ID, Secret: client.secret}, oauthclient.TokenRequest{})
	return token, err
}

// awaitReady asks /ready of both servers over HTTP, as anyone would.
func (d *development) awaitReady(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, readyPatience)
	defer cancel()
	resource := d.settings.Audience()
	for _, url := range []string{d.settings.Issuer + "/ready", resource[:len(resource)-len(pathOf(resource))] + "/ready"} {
		for !answersOK(ctx, url) {
			select {
			case <-ctx.Done():
				return fmt.Errorf("%s does not answer; see the messages above", url)
			case <-time.After(20 * time.Millisecond):
			}
		}
	}
	return nil
}

func answersOK(ctx context.Context, url string) bool {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return false
	}
	response, err := (&http.Client{}).Do(request)
	if err != nil {
		return false
	}
	response.Body.Close()
	return response.StatusCode == http.StatusOK
}
