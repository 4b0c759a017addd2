package main

import (
	"fmt"
	"strings"

	"github.com/gatehouse-mcp/gatehouse/cmd/gatehouse/settings"
	"github.com/gatehouse-mcp/gatehouse/resourceserver/policy"
	"github.com/gatehouse-mcp/gatehouse/scopes"
)

// explanation is what an operation needs, and by which rules.
type explanation struct {
	Method string   `json:"method"`
	Name   string   `json:"name,omitempty"` // of a tool or prompt
	URI    string   `json:"uri,omitempty"`  // of a resource
	Scope  string   `json:"scope"`          // all that is needed, without what is implied
	Steps  []string `json:"steps"`          // one line per rule that was considered
}

// explain says which scopes a token needs for an operation of the notebook
// behind these settings.
func explain(s settings.Settings, method, name string) (explanation, error) {
	op, err := operationOf(method, name)
	if err != nil {
		return explanation{}, err
	}
	catalog, err := s.Catalog()
	if err != nil {
		return explanation{}, err
	}
	compiled, err := policy.New(notebookPolicy(s.ResourceServer))
	if err != nil {
		return explanation{}, err
	}
	because := compiled.Explain(op)
	required := scopes.Of(s.ResourceServer.RequiredScopes...)
	needed := catalog.Reduce(required.Union(because.Needed))
	steps := []string{"required_scopes asks nothing of every token"}
	if len(required) > 0 {
		steps[0] = "required_scopes asks for " + required.String() + " in every token"
	}
	return explanation{method, op.Name, op.URI, needed.String(), append(steps, because.Steps...)}, nil
}

// operationOf returns the operation of a method on what name names.
func operationOf(method, name string) (policy.Operation, error) {
	op := policy.Operation{Method: method}
	switch method {
	case "tools/call", "prompts/get":
		op.Name = name
	case "resources/read", "resources/subscribe", "resources/unsubscribe", "subscriptions/listen":
		op.URI = name
	case "completion/complete":
		if strings.Contains(name, ":") {
			op.URI = name
		} else {
			op.Name = name
		}
	default:
		if name != "" {
			return op, usagef("%s acts on nothing that has a name; leave out %q", method, name)
		}
	}
	return op, nil
}

// print writes the explanation for people, or as JSON.
func (e explanation) print(p *process, asJSON bool) error {
	if asJSON {
		return printJSON(p.stdout, e)
	}
	scope := e.Scope
	if scope == "" {
		scope = "any valid token"
	}
	subject := strings.TrimSpace(e.Method + " " + e.Name + e.URI)
	_, err := fmt.Fprintf(p.stdout, "%s needs: %s\n  %s\n", subject, scope, strings.Join(e.Steps, "\n  "))
	return err
}
