package main

import (
	"context"
	"errors"
	"fmt"
	"text/tabwriter"
	"time"

	"github.com/gatehouse-mcp/gatehouse/authserver"
	"github.com/gatehouse-mcp/gatehouse/cmd/gatehouse/settings"
	"github.com/gatehouse-mcp/gatehouse/storage"
)

type keysCommand struct {
	List   keysListCommand   `cmd:"" help:"List signing keys."`
	Rotate keysRotateCommand `cmd:"" help:"Create the next signing key."`
	Retire keysRetireCommand `cmd:"" help:"Withdraw a key now: tokens it signed are refused."`
}

type keysListCommand struct {
	jsonOutput
}

// Run lists the keys, oldest generation first.
func (c *keysListCommand) Run(ctx context.Context, p *process) error {
	return p.withStore(ctx, func(_ settings.Settings, store storage.Store) error {
		keys, err := store.Keys(ctx)
		if err != nil {
			return err
		}
		return p.printKeys(c.JSON, keys, time.Now())
	})
}

type keysRotateCommand struct {
	jsonOutput
	sealKeyFlags
	In time.Duration `default:"24h" help:"When the new key starts to sign; until then verifiers learn of it."`
}

// Run creates the key; running servers learn of it by themselves.
func (c *keysRotateCommand) Run(ctx context.Context, p *process) error {
	if c.In < 0 {
		return usagef("--in must not be negative")
	}
	return p.withStore(ctx, func(s settings.Settings, store storage.Store) error {
		seal, err := c.sealKeys(p, s)
		if err != nil {
			return err
		}
		key, err := authserver.RotateKey(ctx, authserver.Config{
			Store: store, SealKeys: seal, Tokens: tokensConfig(s), Logger: p.logger(true),
		}, time.Now().Add(c.In))
		if errors.Is(err, storage.ErrExists) {
			return fmt.Errorf("another rotation came first; see gatehouse keys list")
		}
		if err != nil {
			return err
		}
		return p.printKeys(c.JSON, []storage.Key{key}, time.Now())
	})
}

type keysRetireCommand struct {
	KID string `arg:"" name:"kid" help:"Key id."`
	jsonOutput
}

// Help is the detailed help.
func (*keysRetireCommand) Help() string {
	return "Authorization servers sign with another key at once. Resource servers that follow revocations (resource_server.introspection) refuse the old key's tokens within a second, all others when they next fetch the keys: after their setting key_refresh at the latest."
}

// Run withdraws the key.
func (c *keysRetireCommand) Run(ctx context.Context, p *process) error {
	return p.withStore(ctx, func(_ settings.Settings, store storage.Store) error {
		err := store.RetireKey(ctx, c.KID, time.Now())
		if errors.Is(err, storage.ErrNotFound) {
			return fmt.Errorf("there is no key %q; see gatehouse keys list", c.KID)
		}
		if err != nil {
			return err
		}
		keys, err := store.Keys(ctx)
		if err != nil {
			return err
		}
		for _, key := range keys {
			if key.KID == c.KID {
				return p.printKeys(c.JSON, []storage.Key{key}, time.Now())
			}
		}
		return nil // removed meanwhile: nothing signed by it was alive
	})
}

// keyInformation is a key without its private part.
type keyInformation struct {
	KID        string     `json:"kid"`
	Alg        string     `json:"alg"`
	Generation int64      `json:"generation"`
	State      string     `json:"state"`
	CreatedAt  time.Time  `json:"created_at"`
	ActivateAt time.Time  `json:"activate_at"`
	RetiredAt  *time.Time `json:"retired_at,omitempty"`
}

// keyStates names what each key does now: the newest active one signs, one
// with a later time is published, an older one verifies only.
func keyStates(keys []storage.Key, now time.Time) []string {
	states := make([]string, len(keys))
	signing := true
	for i := len(keys) - 1; i >= 0; i-- {
		switch k := keys[i]; {
		case !k.RetiredAt.IsZero():
			states[i] = "retired"
		case k.ActivateAt.After(now):
			states[i] = "published"
		case signing:
			states[i], signing = "signing", false
		default:
			states[i] = "verifying"
		}
	}
	return states
}

func (p *process) printKeys(asJSON bool, keys []storage.Key, now time.Time) error {
	states := keyStates(keys, now)
	table := tabwriter.NewWriter(p.stdout, 0, 0, 2, ' ', 0)
	if !asJSON {
		fmt.Fprintln(table, "KID\tALG\tGENERATION\tSTATE\tACTIVE FROM")
	}
	for i, k := range keys {
		if !asJSON {
			fmt.Fprintf(table, "%s\t%s\t%d\t%s\t%s\n", k.KID, k.Alg, k.Generation, states[i], k.ActivateAt.UTC().Format(time.RFC3339))
			continue
		}
		info := keyInformation{
			KID: k.KID, Alg: k.Alg, Generation: k.Generation, State: states[i],
			CreatedAt: k.CreatedAt.UTC(), ActivateAt: k.ActivateAt.UTC(),
		}
		if !k.RetiredAt.IsZero() {
			retired := k.RetiredAt.UTC()
			info.RetiredAt = &retired
		}
		if err := printJSON(p.stdout, info); err != nil {
			return err
		}
	}
	return table.Flush()
}
