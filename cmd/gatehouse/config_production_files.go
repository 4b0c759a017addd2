package main

import (
	"cmp"
	"crypto/x509"
	"encoding/pem"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/gatehouse-mcp/gatehouse/cmd/gatehouse/settings"
)

func (l checklist) secrets() []question {
	return []question{
		{"seal_key", l.sealKey},
		{"database", l.database},
		{"settings_file", l.settingsFile},
		{"secret_files", l.secretFiles},
	}
}

// certificateVerdict looks at how long a certificate is still good.
func certificateVerdict(address, path string) verdict {
	text, err := os.ReadFile(path)
	if err != nil {
		return warn("run this where the servers run", "%s: the certificate cannot be looked at: %v", address, err)
	}
	block, _ := pem.Decode(text)
	if block == nil {
		return fail("put a PEM certificate there", "%s has no certificate", path)
	}
	leaf, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return fail("put a PEM certificate there", "%s: %v", path, err)
	}
	u, err := url.Parse(address)
	if err != nil || leaf.VerifyHostname(u.Hostname()) != nil {
		return fail("get a certificate for it", "the certificate in %s is not for %s", path, address)
	}
	const soon = 14 * 24 * time.Hour
	switch left := time.Until(leaf.NotAfter); {
	case time.Now().Before(leaf.NotBefore):
		return fail("wait, or correct the clock", "the certificate in %s is good from %s only", path, leaf.NotBefore.Format(time.DateTime))
	case left <= 0:
		return fail("renew it; the servers take the new one by themselves", "the certificate in %s has expired", path)
	case left < soon:
		return warn("renew it; the servers take the new one by themselves", "the certificate in %s expires on %s", path, leaf.NotAfter.Format(time.DateOnly))
	}
	return ok("%s, TLS 1.2 or newer, certificate good until %s", address, leaf.NotAfter.Format(time.DateOnly))
}

// sealKey looks for the key where serve does.
func (l checklist) sealKey() verdict {
	const better = "make one with: openssl rand -base64 32"
	text, where := l.process.getenv("GATEHOUSE_SEAL_KEY"), "GATEHOUSE_SEAL_KEY"
	if text == "" {
		if where = l.sealKeyPath(); where == "" {
			return warn("name it by seal_key_file, GATEHOUSE_SEAL_KEY_FILE or GATEHOUSE_SEAL_KEY when the server runs", "it is not named here, so that it cannot be looked at")
		}
		data, err := os.ReadFile(where)
		if err != nil {
			return warn("run this where the servers run", "it cannot be looked at: %v", err)
		}
		text = string(data)
		if v := openFile(where); v != "" {
			return fail("chmod 600 "+where, "%s", v)
		}
		if beside(where, l.dataPath()) {
			return fail("keep it elsewhere", "%s lies beside the data that it seals: whoever copies one has both", where)
		}
	}
	keys, err := parseSealKeys(text)
	if err != nil {
		return fail(better, "%s: %v", where, err)
	}
	for _, key := range keys {
		if !looksRandom(key) {
			return fail(better, "a key of %s is no random number", where)
		}
	}
	return ok("%d of 256 bits from %s", len(keys), where)
}

func (l checklist) sealKeyPath() string {
	if path := l.process.getenv("GATEHOUSE_SEAL_KEY_FILE"); path != "" {
		return path
	}
	return l.SealKeyFile
}

// looksRandom reports whether 32 bytes could come from a source of random
// numbers: of those, 20 differ but for one time in a million million.
func looksRandom(key []byte) bool {
	seen, steps := map[byte]bool{}, map[byte]bool{}
	for i, b := range key {
		seen[b] = true
		steps[b-key[max(i-1, 0)]] = true
	}
	return len(seen) >= 20 && len(steps) >= 16
}

// dataPath is the file of the embedded store, empty for Postgres.
func (l checklist) dataPath() string {
	at, err := l.process.place(l.Settings)
	if err != nil {
		return ""
	}
	return at.sqlite
}

// beside reports whether a file lies in the directory of another, or below it.
func beside(path, other string) bool {
	if other == "" {
		return false
	}
	directory, err := filepath.Abs(filepath.Dir(other))
	absolute, err2 := filepath.Abs(path)
	if err != nil || err2 != nil {
		return false
	}
	relative, err := filepath.Rel(directory, absolute)
	return err == nil && !strings.HasPrefix(relative, "..")
}

func (l checklist) database() verdict {
	at, err := l.process.place(l.Settings)
	switch {
	case err != nil:
		return fail("correct --database-url", "%v", err)
	case at.postgres == "" && at.sqlite == ":memory:":
		return fail("name a file or Postgres", "the store is in memory: a restart loses all")
	case at.postgres == "":
		if open := openFile(at.sqlite); open != "" {
			return fail("chmod 600 "+at.sqlite, "%s", open)
		}
		return warn("use Postgres for more than one replica, and copy the file regularly", "the embedded store in %s serves one node", at.sqlite)
	}
	u, err := url.Parse(at.postgres)
	if err != nil {
		return fail("correct the URL", "the URL of Postgres cannot be read")
	}
	query := u.Query()
	if _, literal := u.User.Password(); (literal || query.Has("password")) && l.Database.Postgres != "" {
		return fail("keep it in DATABASE_URL, PGPASSWORD or a password file", "the password of Postgres stands in the settings file")
	}
	host := cmp.Or(query.Get("host"), u.Hostname(), l.process.getenv("PGHOST"))
	switch mode := query.Get("sslmode"); {
	case mode == "verify-full", mode == "verify-ca":
		return ok("Postgres at %s, by TLS", host)
	case host == "", strings.HasPrefix(host, "/"), settings.IsLoopback(host): // a slash begins the directory of a socket
		return ok("Postgres on this machine")
	default:
		return warn("set sslmode=verify-full, unless the network between is your own", "Postgres at %s need not prove who it is", host)
	}
}

// settingsFile judges who may read and change the settings.
func (l checklist) settingsFile() verdict {
	info, err := os.Stat(l.path)
	if err != nil {
		return warn("run this where the servers run", "it cannot be looked at: %v", err)
	}
	switch mode := info.Mode().Perm(); {
	case mode&0o002 != 0:
		return fail("chmod go-w "+l.path, "everybody may change it (mode %04o)", mode)
	case mode&0o077 != 0 && l.ResourceServer.AuthToken != "":
		return fail("chmod 600 "+l.path, "it holds a token and others may read or change it (mode %04o)", mode)
	case mode&0o020 != 0:
		return warn("chmod g-w "+l.path, "its group may change it (mode %04o)", mode)
	default:
		return ok("mode %04o", mode)
	}
}

// secretFiles judges who may read the files that the settings name.
func (l checklist) secretFiles() verdict {
	files := []string{l.Registration.DCR.InitialAccessTokenFile, l.ResourceServer.Introspection.ClientSecretFile, l.TLS.Key, l.ResourceServer.TLS.Key, l.SecurityLog.File}
	for _, u := range l.Login.Upstreams {
		files = append(files, u.ClientSecretFile)
	}
	for _, t := range l.ResourceServer.AuthTokens {
		files = append(files, t.TokenFile)
	}
	looked, absent := 0, []string(nil)
	for _, path := range files {
		if path == "" {
			continue
		}
		if _, err := os.Stat(path); err != nil {
			absent = append(absent, path)
			continue
		}
		looked++
		if open := openFile(path); open != "" {
			return fail("chmod 600 "+path, "%s", open)
		}
	}
	if len(absent) > 0 {
		return warn("run this where the servers run", "%s cannot be looked at", strings.Join(absent, ", "))
	}
	return ok("%d, for their owner only", looked)
}

// openFile says how others may read a file, or nothing. What is mounted into
// a container as a secret has the mode that the container's owner gave it.
func openFile(path string) string {
	info, err := os.Stat(path)
	if err != nil || strings.HasPrefix(path, "/run/secrets/") || info.Mode().Perm()&0o077 == 0 {
		return ""
	}
	return path + " can be read by others (mode " + info.Mode().Perm().String() + ")"
}
