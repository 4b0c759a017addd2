package demo

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"time"
)

// revocationPatience is how long a revocation may take to reach the resource
// server; it promises a second.
const revocationPatience = 5 * time.Second

// Config names the servers and the clients of the demonstration.
type Config struct {
	Issuer   string
	Resource string
	// Other is a resource of the issuer that the servers do not serve; the
	// client JWT may get tokens for it.
	Other string
	// JWT and Opaque may use tools and get tokens of these formats; Reader may
	// only read; Introspect may introspect tokens of the resource.
	JWT, Opaque, Reader, Introspect Client
	Out                             io.Writer
	// HTTP sends the requests; nil means http.DefaultClient.
	HTTP *http.Client
}

// Client is a confidential client.
type Client struct{ ID, Secret string }

// String leaves the secret out.
func (c Client) String() string { return c.ID + ":[redacted]" }

// GoString leaves the secret out.
func (c Client) GoString() string { return c.String() }

// StepError says which step did not do what it should.
type StepError struct {
	Step   string
	Reason error
}

func (e *StepError) Error() string { return fmt.Sprintf("step %q: %v", e.Step, e.Reason) }
func (e *StepError) Unwrap() error { return e.Reason }

// Run does all steps in order and stops at the first that fails, with a
// [*StepError].
func Run(ctx context.Context, cfg Config) error {
	d := &demonstration{Config: cfg}
	if d.HTTP == nil {
		d.HTTP = &http.Client{}
	}
	for i, s := range d.steps() {
		fmt.Fprintf(cfg.Out, "\n# %d. %s\n", i+1, s.title)
		if err := s.do(ctx); err != nil {
			return &StepError{s.title, err}
		}
	}
	return nil
}

type step struct {
	title string
	do    func(context.Context) error
}

// demonstration is what the steps have learned so far.
type demonstration struct {
	Config
	endpoints struct {
		Token         string `json:"token_endpoint"`
		Introspection string `json:"introspection_endpoint"`
		Revocation    string `json:"revocation_endpoint"`
	}
	jwt, opaque, reader, elsewhere string
	session                        string
}

func (d *demonstration) steps() []step {
	return []step{
		{"Without a token the MCP endpoint says where to get one", d.challenge},
		{"The resource names its authorization server", d.discoverResource},
		{"The authorization server names its endpoints", d.discoverIssuer},
		{"A JWT access token by client credentials", d.getToken(d.JWT, d.Resource, &d.jwt, false)},
		{"An opaque access token by client credentials", d.getToken(d.Opaque, d.Resource, &d.opaque, true)},
		{"MCP 2026-07-28: discover the server, with the JWT", d.discoverServer(&d.jwt)},
		{"MCP 2025-11-25: initialize a session, with the opaque token", d.initialize(&d.opaque)},
		{"End that session", d.endSession(&d.opaque)},
		{"List the tools, with the JWT", d.listTools(&d.jwt)},
		{"List the tools, with the opaque token", d.listTools(&d.opaque)},
		{"Call a tool, with the JWT", d.callTool(&d.jwt)},
		{"Call a tool, with the opaque token", d.callTool(&d.opaque)},
		{"Introspect the JWT", d.introspect(&d.jwt, true)},
		{"Introspect the opaque token", d.introspect(&d.opaque, true)},
		{"A token of a client that may only read", d.getToken(d.Reader, d.Resource, &d.reader, false)},
		{"It may not call tools: 403 names the scopes to ask for (step-up)", d.stepUp},
		{"Revoke the JWT", d.revoke(d.JWT, &d.jwt)},
		{"Revoke the opaque token", d.revoke(d.Opaque, &d.opaque)},
		{"The MCP endpoint refuses the JWT", d.refused(&d.jwt)},
		{"The MCP endpoint refuses the opaque token", d.refused(&d.opaque)},
		{"Introspection calls the JWT inactive", d.introspect(&d.jwt, false)},
		{"Introspection calls the opaque token inactive", d.introspect(&d.opaque, false)},
		{"A token for another resource, from the same issuer", d.getToken(d.JWT, d.Other, &d.elsewhere, false)},
		{"It is worth nothing here", d.refused(&d.elsewhere)},
		{"A token for a resource that the client may not use is not issued", d.forbiddenResource},
	}
}

// show prints the command, does it and prints the answer.
func (d *demonstration) show(ctx context.Context, r request) (answer, error) {
	fmt.Fprintf(d.Out, "$ %s\n", r.curl())
	a, err := r.send(ctx, d.HTTP)
	if err != nil {
		return a, err
	}
	a.print(d.Out)
	return a, nil
}

// expect is show for an answer with that status and a JSON body.
func (d *demonstration) expect(ctx context.Context, r request, code int, into any) (answer, error) {
	a, err := d.show(ctx, r)
	if err != nil {
		return a, err
	}
	return a, a.check(code, into)
}

func (a answer) check(code int, into any) error {
	if a.code != code {
		return fmt.Errorf("expected HTTP %d, got %d", code, a.code)
	}
	if into == nil {
		return nil
	}
	if err := json.Unmarshal(a.body, into); err != nil {
		return fmt.Errorf("the body is not the JSON it should be: %w", err)
	}
	return nil
}
