package streamable

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// versionData is what an answer says about versions.
func versionData(t *testing.T, a answer) (supported []string, requested string) {
	t.Helper()
	var data mcp.UnsupportedProtocolVersionData
	if a.rpc.Error == nil || json.Unmarshal(a.rpc.Error.Data, &data) != nil {
		t.Errorf("no list of versions: %d %s", a.status, a.body)
	}
	for _, version := range data.Supported {
		if !strings.Contains(a.rpc.Error.Message, version) {
			t.Errorf("the message does not name %s: %s", version, a.body)
		}
	}
	return data.Supported, data.Requested
}

func TestSeed_S18_UnsupportedVersionsAreRefusedWithTheSupportedOnes(t *testing.T) {
	t.Parallel()
	c, _, _ := gated(t, newServer(t), &Options{SupportedVersions: []string{"2025-06-18", "2026-07-28"}})
	c.initialize()
	want := []string{"2026-07-28", "2025-06-18"}
	for version, code := range map[string]int{
		"2025-11-25": -32600, "2023-01-01": -32600, "zzzz": -32600, "2026-7-28": -32600, "3026-02-30": -32600,
		"2026-07-29": mcp.CodeUnsupportedProtocolVersion, "9999-12-31": mcp.CodeUnsupportedProtocolVersion,
	} {
		for _, method := range []string{http.MethodPost, http.MethodGet, http.MethodDelete} {
			a := c.send(method, request("tools/list", ""), headerVersion, version)
			if a.status != http.StatusBadRequest || a.code() != code || method == http.MethodPost && string(a.rpc.ID) != "7" {
				t.Errorf("%s %s: %d %s", method, version, a.status, a.body)
			}
			if supported, requested := versionData(t, a); !slices.Equal(supported, want) || requested != version {
				t.Errorf("%s %s: %v, %q", method, version, supported, requested)
			}
		}
	}
	for _, header := range [][]string{nil, {headerVersion, "2025-06-18"}, {headerVersion, ""}} {
		if a := c.send(http.MethodPost, request("tools/list", ""), header...); a.status != http.StatusOK {
			t.Errorf("%q: %d %s", header, a.status, a.body)
		}
	}
	if a := c.modern("tools/list", "", ""); a.status != http.StatusOK {
		t.Errorf("modern: %d %s", a.status, a.body)
	}
}

func TestSeed_S18_NotEnforcedMeansIgnored(t *testing.T) {
	t.Parallel()
	c, _, _ := gated(t, newServer(t), &Options{AnyVersion: true, SupportedVersions: []string{"2025-06-18", "2026-07-28"}})
	c.initialize()
	for _, version := range []string{"2025-11-25", "2023-01-01", "zzzz", "2026-07-29", "9999-12-31"} {
		if a := c.send(http.MethodPost, request("tools/list", ""), headerVersion, version); a.status != http.StatusOK {
			t.Errorf("%s: %d %s", version, a.status, a.body)
		}
		fresh := c.as(c.token)
		fresh.session = ""
		if a := fresh.send(http.MethodPost, request("tools/list", ""), headerVersion, version); a.status != http.StatusBadRequest {
			t.Errorf("%s selects the era without sessions: %d %s", version, a.status, a.body)
		}
		// What speaks another revision without sessions cannot be served as an
		// old client: it learns what to speak instead.
		body := strings.ReplaceAll(modernBody("tools/list", ""), "2026-07-28", version)
		a := fresh.send(http.MethodPost, body, headerVersion, version, headerMethod, "tools/list")
		if supported, requested := versionData(t, a); a.code() != mcp.CodeUnsupportedProtocolVersion || requested != version || len(supported) != 2 {
			t.Errorf("%s in _meta: %d %s", version, a.status, a.body)
		}
	}
	if a := c.send(http.MethodPost, modernBody("tools/list", ""), headerVersion, "9999-12-31"); a.code() != mcp.CodeHeaderMismatch {
		t.Errorf("%d %s", a.status, a.body)
	}
}

func TestSeed_S18_UnknownVersionsFailAtStart(t *testing.T) {
	t.Parallel()
	for _, o := range []Options{{SupportedVersions: []string{"2025-11-26"}}, {DeprecatedVersions: []string{""}}} {
		if err := CheckVersions(o.SupportedVersions, o.DeprecatedVersions); err == nil || !strings.Contains(err.Error(), "2025-11-25") {
			t.Errorf("%+v: %v", o, err)
		}
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%+v starts", o)
				}
			}()
			Handler(newServer(t).Server, &o)
		}()
	}
	if err := CheckVersions(mcp.SupportedProtocolVersions(), nil); err != nil {
		t.Error(err)
	}
}

// Each era can be switched off as a whole: nothing then reaches its handler.
func TestSeed_S18_AnEraThatIsOff(t *testing.T) {
	t.Parallel()
	old, _, _ := gated(t, newServer(t), &Options{SupportedVersions: []string{"2025-11-25"}})
	for _, method := range []string{"server/discover", "tools/list", "initialize"} {
		a := old.modern(method, "", "")
		if supported, _ := versionData(t, a); a.status != http.StatusBadRequest || a.code() != mcp.CodeUnsupportedProtocolVersion || !slices.Equal(supported, []string{"2025-11-25"}) {
			t.Errorf("%s: %d %s", method, a.status, a.body)
		}
	}
	if a := old.initialize(); a.status != http.StatusOK {
		t.Errorf("%d %s", a.status, a.body)
	}
}

func TestModern_TM16_InitializeIsAnsweredWithTheVersions(t *testing.T) {
	t.Parallel()
	c, e, _ := gated(t, newServer(t), &Options{SupportedVersions: []string{"2026-07-28"}})
	a := c.initialize()
	if supported, requested := versionData(t, a); a.status != http.StatusBadRequest || a.code() != mcp.CodeUnsupportedProtocolVersion || !slices.Equal(supported, []string{"2026-07-28"}) || requested != "2025-11-25" {
		t.Errorf("%d %s", a.status, a.body)
	}
	for _, header := range [][]string{nil, {headerSession, "x"}, {headerVersion, "2025-11-25"}} {
		if a := c.send(http.MethodPost, request("tools/list", ""), header...); a.status != http.StatusBadRequest || a.code() != mcp.CodeUnsupportedProtocolVersion || string(a.rpc.ID) != "7" {
			t.Errorf("%q: %d %s", header, a.status, a.body)
		}
	}
	if a := c.send(http.MethodPost, modernBody("tools/list", "")); a.code() != mcp.CodeHeaderMismatch {
		t.Errorf("TM-02: %d %s", a.status, a.body)
	}
	for _, method := range []string{http.MethodGet, http.MethodDelete} {
		if a := c.send(method, "", headerSession, "x"); a.status != http.StatusMethodNotAllowed || a.header.Get("Allow") != "POST" {
			t.Errorf("%s: %d %s", method, a.status, a.body)
		}
	}
	if n := e.sessions.count(); n != 0 {
		t.Errorf("%d sessions", n)
	}
	if a := c.modern("tools/call", `"name":"read"`, "read"); a.status != http.StatusOK {
		t.Errorf("%d %s", a.status, a.body)
	}
}

func TestLegacy_TL10_InitializeAgreesOnAVersion(t *testing.T) {
	t.Parallel()
	for _, supported := range [][]string{nil, {"2025-03-26", "2025-06-18", "2026-07-28"}} {
		c, _, _ := gated(t, newServer(t), &Options{SupportedVersions: supported, MaxSessions: 100})
		newest := "2025-11-25"
		if supported != nil {
			newest = "2025-06-18"
		}
		for _, asked := range []string{"2025-03-26", "2025-06-18", "2025-11-25", "2026-07-28", "2099-01-01", "zzzz", ""} {
			want := newest
			if asked < newest && asked != "" {
				want = asked
			}
			a := c.send(http.MethodPost, `{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"`+asked+`","capabilities":{},"clientInfo":{"name":"t","version":"1"}}}`)
			if a.status != http.StatusOK || !strings.Contains(a.body, `"protocolVersion":"`+want+`"`) {
				t.Errorf("%v, %s: %d %s", supported, asked, a.status, a.body)
			}
		}
		a := c.modern("server/discover", "", "")
		for _, version := range mcp.SupportedProtocolVersions() {
			want := supported == nil || slices.Contains(supported, version)
			if strings.Contains(string(a.rpc.Result), `"`+version+`"`) != want {
				t.Errorf("%v, discover, %s: %s", supported, version, a.body)
			}
		}
	}
}

func TestSeed_S19_DeprecatedVersionsAreServedWithAWarning(t *testing.T) {
	t.Parallel()
	log := &lines{}
	c, _, _ := gated(t, newServer(t), &Options{
		SupportedVersions: []string{"2025-11-25", "2026-07-28"}, DeprecatedVersions: []string{"2025-06-18"},
		Logger: slog.New(slog.NewJSONHandler(log, &slog.HandlerOptions{Level: slog.LevelWarn})),
	})
	c.initialize()
	for range 3 {
		for _, version := range []string{"2025-06-18", "2025-11-25"} {
			if a := c.send(http.MethodPost, request("ping", ""), headerVersion, version); a.status != http.StatusOK {
				t.Errorf("%s: %d %s", version, a.status, a.body)
			}
		}
	}
	if text := log.String(); strings.Count(text, "deprecated") != 1 || !strings.Contains(text, `"version":"2025-06-18"`) || strings.Contains(text, "alice") {
		t.Errorf("logged: %s", text)
	}
}

func TestSeed_S19_ARuleDecidesAboutVersions(t *testing.T) {
	t.Parallel()
	log := &lines{}
	c, _, _ := gated(t, newServer(t), &Options{
		SupportedVersions: []string{"2025-06-18"}, AnyVersion: true, // do not matter
		VersionRule: func(version string) VersionVerdict {
			switch {
			case version == "2025-06-18" || strings.HasPrefix(version, "acme-"):
				return VersionDeprecated
			case version == "2025-11-25":
				return VersionSupported
			}
			return VersionUnsupported
		},
		Logger: slog.New(slog.NewTextHandler(log, nil)),
	})
	c.initialize()
	for version, want := range map[string]int{"2025-11-25": 200, "2025-06-18": 200, "acme-1": 200, "2025-03-26": 400, "2026-07-28": 400} {
		if a := c.send(http.MethodPost, request("ping", ""), headerVersion, version); a.status != want {
			t.Errorf("%s: %d %s", version, a.status, a.body)
		}
	}
	if text := log.String(); !strings.Contains(text, "version=acme-1") || !strings.Contains(text, "version=2025-06-18") {
		t.Errorf("logged: %s", text)
	}
}

// A rule may accept any text, but not make the log grow with it.
func TestSeed_S19_WarningsAreBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		log := &lines{}
		v := newVersions(&Options{VersionRule: func(string) VersionVerdict { return VersionDeprecated }}, slog.New(slog.NewTextHandler(log, nil)))
		for i := range 10 * maxWarned {
			v.admit(t.Context(), fmt.Sprint("v", i))
		}
		if n := strings.Count(log.String(), "deprecated"); n != maxWarned || len(v.warned) != maxWarned {
			t.Errorf("%d warnings, %d remembered", n, len(v.warned))
		}
		<-time.After(warnEvery)
		v.admit(t.Context(), "v0")
		v.admit(t.Context(), "new")
		if n := strings.Count(log.String(), "deprecated"); n != maxWarned+2 || len(v.warned) != 2 {
			t.Errorf("a minute later: %d warnings, %d remembered", n, len(v.warned))
		}
	})
}
