package postgres_test

import (
	"context"
	"crypto/sha256"
	"slices"
	"time"

	"github.com/gatehouse-mcp/gatehouse/storage"
	"github.com/gatehouse-mcp/gatehouse/storage/postgres"
)

// step is one method of the contract, to be run in the order of steps.
type step struct {
	name string
	run  func(ctx context.Context, s *postgres.Store) error
}

// steps are all methods of the contract, each with something to do.
func steps() []step {
	return slices.Concat(tokenSteps(), userSteps(), signInSteps(), grantSteps(), deviceSteps(), clientSteps())
}

func hash(name string) [32]byte { return sha256.Sum256([]byte(name)) }

func user(id string) storage.User {
	return storage.User{ID: id, Username: "name of " + id, RecoveryCodes: [][]byte{{1}}, CreatedAt: noon, UpdatedAt: noon}
}

func session1() storage.Session {
	return storage.Session{Hash: hash("s"), UserID: "u", AuthTime: noon, CreatedAt: noon, LastSeenAt: noon, ExpiresAt: noon.Add(time.Hour)}
}

func interaction(name string) storage.Interaction {
	return storage.Interaction{
		Hash: hash(name), Browser: hash("b"), ClientID: "c", RedirectURI: "http://127.0.0.1/callback",
		Resource: "r", Audience: "r", TokenFormat: storage.FormatOpaque, CreatedAt: noon, ExpiresAt: noon.Add(time.Hour),
	}
}

// code is a code whose interaction has its name.
func code(name string) storage.Code {
	return storage.Code{
		Hash: hash(name), GrantID: name, ClientID: "c", UserID: "u", RedirectURI: "http://127.0.0.1/callback", CodeChallenge: "x",
		Scopes: []string{"mcp:read", "mcp:write"}, Resource: "r", Audience: "r", TokenFormat: storage.FormatOpaque, Refresh: true,
		CreatedAt: noon, ExpiresAt: noon.Add(time.Minute),
	}
}

func toStore(name string) storage.TokenToStore {
	return storage.TokenToStore{Hash: hash("token " + name), IssuedAt: noon, ExpiresAt: noon.Add(time.Hour)}
}

// redemption presents the code of that name; caller names its access token.
func redemption(name, caller string) storage.Redemption {
	return storage.Redemption{
		CodeHash: hash(name), ClientID: "c", CodeChallenge: "x", Secret: hash("secret of " + name), GrantExpiresAt: noon.Add(30 * day),
		AccessToken: toStore(name + caller), Revoked: event(""), Now: noon,
	}
}

// rotation presents a refresh token of the grant that a code of that name
// became.
func rotation(name, caller string, generation int64, window time.Duration) storage.Rotation {
	secret, inner := hash("secret of "+name), hash("inner")
	tag := sha256.Sum256(append(secret[:], inner[:]...))
	return storage.Rotation{
		GrantID: name, Generation: generation, Inner: inner, TagHash: sha256.Sum256(tag[:]), ClientID: "c",
		Allowed: []string{"r"}, Window: window, GrantExpiresAt: noon.Add(30 * day),
		AccessToken: toStore(name + " refreshed " + caller), Revoked: event(""), Now: noon,
	}
}

func device(name string) storage.DeviceAuthorization {
	return storage.DeviceAuthorization{
		DeviceCode: hash("device " + name), UserCode: hash("user " + name), ClientID: "c", Resource: "r", Audience: "r",
		TokenFormat: storage.FormatOpaque, Refresh: true, Interval: 5 * time.Second, CreatedAt: noon, ExpiresAt: noon.Add(time.Minute),
	}
}

func decision(name string) storage.DeviceDecision {
	return storage.DeviceDecision{UserCode: hash("user " + name), Approved: true, GrantID: "grant of " + name, UserID: "u", AuthTime: noon}
}

func poll(name, caller string) storage.DevicePoll {
	return storage.DevicePoll{
		DeviceCode: hash("device " + name), ClientID: "c", Secret: hash("secret"), GrantExpiresAt: noon.Add(30 * day),
		AccessToken: toStore(name + caller), Now: noon,
	}
}

func tokenSteps() []step {
	tok := token("t", noon.Add(time.Hour))
	return []step{
		{"Ready", func(ctx context.Context, s *postgres.Store) error { return s.Ready(ctx) }},
		{"CreateClient", func(ctx context.Context, s *postgres.Store) error { return s.CreateClient(ctx, client("c")) }},
		{"Client", func(ctx context.Context, s *postgres.Store) error { _, err := s.Client(ctx, "c"); return err }},
		{"ListClients", func(ctx context.Context, s *postgres.Store) error { _, err := s.ListClients(ctx, "", 9); return err }},
		{"CreateAccessToken", func(ctx context.Context, s *postgres.Store) error { return s.CreateAccessToken(ctx, tok) }},
		{"AccessToken", func(ctx context.Context, s *postgres.Store) error {
			_, err := s.AccessToken(ctx, tok.Hash, tok.ExpiresAt)
			return err
		}},
		{"UseJTI", func(ctx context.Context, s *postgres.Store) error {
			return s.UseJTI(ctx, "c", "jti", noon.Add(time.Minute), noon)
		}},
		{"CreateKey", func(ctx context.Context, s *postgres.Store) error { return s.CreateKey(ctx, key(1)) }},
		{"Keys", func(ctx context.Context, s *postgres.Store) error { _, err := s.Keys(ctx); return err }},
		{"RetireKey", func(ctx context.Context, s *postgres.Store) error { return s.RetireKey(ctx, "k1", noon) }},
		{"RemoveKey", func(ctx context.Context, s *postgres.Store) error { return s.RemoveKey(ctx, "k1") }},
		{"AppendEvent", func(ctx context.Context, s *postgres.Store) error {
			_, err := s.AppendEvent(ctx, event("g"))
			return err
		}},
		{"Events", func(ctx context.Context, s *postgres.Store) error { _, err := s.Events(ctx, 0, 9, noon); return err }},
	}
}

func userSteps() []step {
	upstream := storage.Identity{Issuer: "https://idp.example", Subject: "1"}
	passkey := storage.Passkey{ID: []byte{1}, UserID: "u", CreatedAt: noon}
	recovery := hash("b")
	return []step{
		{"CreateUser", func(ctx context.Context, s *postgres.Store) error { return s.CreateUser(ctx, user("u"), upstream) }},
		{"User", func(ctx context.Context, s *postgres.Store) error { _, err := s.User(ctx, "u"); return err }},
		{"UserByUsername", func(ctx context.Context, s *postgres.Store) error {
			_, err := s.UserByUsername(ctx, "name of u")
			return err
		}},
		{"UserByIdentity", func(ctx context.Context, s *postgres.Store) error {
			_, err := s.UserByIdentity(ctx, upstream)
			return err
		}},
		{"ListUsers", func(ctx context.Context, s *postgres.Store) error { _, err := s.ListUsers(ctx, "", 9); return err }},
		{"UpdateUser", func(ctx context.Context, s *postgres.Store) error {
			u, revoked := user("u"), event("u")
			u.Revision, u.RecoveryCodes = 1, [][]byte{recovery[:]}
			_, err := s.UpdateUser(ctx, u, &revoked, noon)
			return err
		}},
		{"SpendRecoveryCode", func(ctx context.Context, s *postgres.Store) error {
			return s.SpendRecoveryCode(ctx, "u", recovery, noon)
		}},
		{"CreatePasskey", func(ctx context.Context, s *postgres.Store) error { return s.CreatePasskey(ctx, passkey) }},
		{"Passkeys", func(ctx context.Context, s *postgres.Store) error { _, err := s.Passkeys(ctx, "u"); return err }},
		{"UsePasskey", func(ctx context.Context, s *postgres.Store) error {
			return s.UsePasskey(ctx, passkey.ID, 1<<32-1, 255, noon)
		}},
		{"DeletePasskey", func(ctx context.Context, s *postgres.Store) error { return s.DeletePasskey(ctx, "u", passkey.ID) }},
	}
}

func signInSteps() []step {
	keys := [][32]byte{hash("b"), hash("a"), hash("b")}
	return []step{
		{"SignInAttempt", func(ctx context.Context, s *postgres.Store) error {
			_, err := s.SignInAttempt(ctx, "name of u", keys, noon)
			return err
		}},
		{"CountFailures", func(ctx context.Context, s *postgres.Store) error {
			_, err := s.CountFailures(ctx, keys, noon.Add(time.Hour), noon)
			return err
		}},
		{"ForgetFailures", func(ctx context.Context, s *postgres.Store) error { return s.ForgetFailures(ctx, keys) }},
		{"CreateInteraction", func(ctx context.Context, s *postgres.Store) error { return s.CreateInteraction(ctx, interaction("g")) }},
		{"SignIn", func(ctx context.Context, s *postgres.Store) error {
			_, err := s.SignIn(ctx, session1(), hash("old"), hash("g"))
			return err
		}},
		{"Progress", func(ctx context.Context, s *postgres.Store) error {
			_, err := s.Progress(ctx, hash("g"), hash("s"), noon)
			return err
		}},
		{"Session", func(ctx context.Context, s *postgres.Store) error {
			_, _, err := s.Session(ctx, hash("s"), noon)
			return err
		}},
		{"TouchSession", func(ctx context.Context, s *postgres.Store) error {
			return s.TouchSession(ctx, hash("s"), noon.Add(day), noon)
		}},
		{"Sessions", func(ctx context.Context, s *postgres.Store) error { _, err := s.Sessions(ctx, "u", noon); return err }},
		{"DeleteSession", func(ctx context.Context, s *postgres.Store) error { return s.DeleteSession(ctx, "u", hash("s")) }},
		{"DeleteSessions", func(ctx context.Context, s *postgres.Store) error { return s.DeleteSessions(ctx, "u", [32]byte{}) }},
		{"PushRequest", func(ctx context.Context, s *postgres.Store) error {
			return s.PushRequest(ctx, storage.PushedRequest{Hash: hash("p"), ClientID: "c", ExpiresAt: noon.Add(time.Minute)})
		}},
		{"SpendPushedRequest", func(ctx context.Context, s *postgres.Store) error {
			_, err := s.SpendPushedRequest(ctx, hash("p"), "c", noon)
			return err
		}},
	}
}

func grantSteps() []step {
	return []step{
		{"IssueCode", func(ctx context.Context, s *postgres.Store) error { return s.IssueCode(ctx, code("g"), hash("g")) }},
		{"RedeemCode", func(ctx context.Context, s *postgres.Store) error {
			_, _, err := s.RedeemCode(ctx, redemption("g", ""))
			return err
		}},
		{"RotateRefreshToken", func(ctx context.Context, s *postgres.Store) error {
			_, _, err := s.RotateRefreshToken(ctx, rotation("g", "", 1, 0))
			return err
		}},
		{"Grant", func(ctx context.Context, s *postgres.Store) error { _, err := s.Grant(ctx, "g"); return err }},
		{"ListGrants", func(ctx context.Context, s *postgres.Store) error { _, err := s.ListGrants(ctx, "u", noon); return err }},
		{"NarrowGrant", func(ctx context.Context, s *postgres.Store) error {
			return s.NarrowGrant(ctx, "g", "u", []string{"mcp:read"}, event("g"), noon)
		}},
		{"RevokeGrant", func(ctx context.Context, s *postgres.Store) error {
			return s.RevokeGrant(ctx, "g", "u", "user", event("g"), noon)
		}},
		{"RevokeGrants", func(ctx context.Context, s *postgres.Store) error { return s.RevokeGrants(ctx, event("none"), noon) }},
		{"RestoreGrant", func(ctx context.Context, s *postgres.Store) error { return s.RestoreGrant(ctx, "g", "u", noon) }},
	}
}

func deviceSteps() []step {
	return []step{
		{"CreateDeviceAuthorization", func(ctx context.Context, s *postgres.Store) error {
			return s.CreateDeviceAuthorization(ctx, device("d"))
		}},
		{"DeviceAuthorization", func(ctx context.Context, s *postgres.Store) error {
			_, err := s.DeviceAuthorization(ctx, hash("user d"), noon)
			return err
		}},
		{"CreateInteraction of a device", func(ctx context.Context, s *postgres.Store) error {
			return s.CreateInteraction(ctx, interaction("d"))
		}},
		{"DecideDevice", func(ctx context.Context, s *postgres.Store) error {
			return s.DecideDevice(ctx, decision("d"), hash("d"), noon)
		}},
		{"PollDevice", func(ctx context.Context, s *postgres.Store) error {
			_, _, err := s.PollDevice(ctx, poll("d", ""))
			return err
		}},
		{"CreateInteraction to end", func(ctx context.Context, s *postgres.Store) error {
			return s.CreateInteraction(ctx, interaction("e"))
		}},
		{"EndInteraction", func(ctx context.Context, s *postgres.Store) error { return s.EndInteraction(ctx, hash("e")) }},
	}
}

func clientSteps() []step {
	registered := client("r")
	registered.Registration, registered.Fingerprint = storage.RegisteredDynamically, []byte{1}
	document := client("https://client.example/")
	document.Registration = storage.RegisteredByDocument
	changed := document
	changed.Name = "changed"
	return []step{
		{"UpdateClient", func(ctx context.Context, s *postgres.Store) error {
			_, err := s.UpdateClient(ctx, client("c"), noon)
			return err
		}},
		{"RegisterClient", func(ctx context.Context, s *postgres.Store) error {
			_, err := s.RegisterClient(ctx, registered)
			return err
		}},
		{"SaveDocument", func(ctx context.Context, s *postgres.Store) error {
			_, err := s.SaveDocument(ctx, document)
			return err
		}},
		{"SaveDocument again", func(ctx context.Context, s *postgres.Store) error { _, err := s.SaveDocument(ctx, changed); return err }},
		{"DeleteClient", func(ctx context.Context, s *postgres.Store) error { return s.DeleteClient(ctx, "c", event("c")) }},
		{"DeleteClient registered", func(ctx context.Context, s *postgres.Store) error { return s.DeleteClient(ctx, "r", event("r")) }},
		{"DeleteClient of a document", func(ctx context.Context, s *postgres.Store) error {
			return s.DeleteClient(ctx, document.ID, event(document.ID))
		}},
	}
}
