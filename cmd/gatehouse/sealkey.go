package main

import (
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/gatehouse-mcp/gatehouse/cmd/gatehouse/settings"
)

const sealKeyBytes = 32

// sealKeyFlags say where the keys are that seal private keys at rest. Their
// value is taken from the environment only: a command line is no place for it.
type sealKeyFlags struct {
	SealKeyFile string `env:"GATEHOUSE_SEAL_KEY_FILE" placeholder:"FILE" help:"Keys that seal private keys at rest, one per line in base64; or the keys themselves in GATEHOUSE_SEAL_KEY."`
}

// sealKeys looks into GATEHOUSE_SEAL_KEY, the flag, the settings and at last
// DIR/seal.key, where gatehouse dev keeps its own.
func (f sealKeyFlags) sealKeys(p *process, s settings.Settings) ([][]byte, error) {
	if text := p.getenv("GATEHOUSE_SEAL_KEY"); text != "" {
		keys, err := parseSealKeys(text)
		if err != nil {
			return nil, fmt.Errorf("GATEHOUSE_SEAL_KEY: %w", err)
		}
		return keys, nil
	}
	path := f.SealKeyFile
	if path == "" {
		path = s.SealKeyFile
	}
	if path == "" {
		path = devSealKeyFile(p.Data)
	}
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("there is no seal key at %s; make one with: openssl rand -base64 32, and name it by seal_key_file or GATEHOUSE_SEAL_KEY", path)
	}
	if err != nil {
		return nil, err
	}
	keys, err := parseSealKeys(string(text))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return keys, nil
}

// parseSealKeys reads keys of 32 bytes in any of the four base64 alphabets,
// separated by space. The error does not repeat the text.
func parseSealKeys(text string) ([][]byte, error) {
	var keys [][]byte
	for field := range strings.FieldsSeq(text) {
		plain := strings.NewReplacer("-", "+", "_", "/").Replace(strings.TrimRight(field, "="))
		key, err := base64.RawStdEncoding.DecodeString(plain)
		if err != nil || len(key) != sealKeyBytes {
			return nil, fmt.Errorf("key %d is not %d bytes in base64; make one with: openssl rand -base64 32", len(keys)+1, sealKeyBytes)
		}
		keys = append(keys, key)
	}
	if len(keys) == 0 {
		return nil, errors.New("there is no key in it")
	}
	return keys, nil
}

func devSealKeyFile(dir string) string { return filepath.Join(dir, "seal.key") }

// createSealKey makes the key file of gatehouse dev unless it exists. Of
// concurrent processes one wins, and no reader sees half a file.
func createSealKey(path string) error {
	if _, err := os.Stat(path); err == nil {
		return nil
	}
	key := make([]byte, sealKeyBytes)
	rand.Read(key) // never fails (crypto/rand)
	temporary, err := writeTemporary(path, base64.StdEncoding.EncodeToString(key)+"\n")
	if err != nil {
		return err
	}
	err = os.Link(temporary, path)
	if errors.Is(err, fs.ErrExist) {
		err = nil // another process was faster
	}
	return errors.Join(err, os.Remove(temporary))
}

// derivedSecret is a secret of gatehouse dev: the same for the same seal key
// and name, so that it need not be stored to be shown again, and of no use to
// find the key or another secret (HKDF, RFC 5869).
func derivedSecret(sealKey []byte, name string) (string, error) {
	raw, err := hkdf.Key(sha256.New, sealKey, nil, "gatehouse dev client secret "+name, 32)
	if err != nil {
		return "", err
	}
	return secretPrefix + base64.RawURLEncoding.EncodeToString(raw), nil
}

// writeTemporary writes text beside path, readable by the owner only.
func writeTemporary(path, text string) (name string, err error) {
	file, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-*") // mode 0600
	if err != nil {
		return "", err
	}
	_, err = file.WriteString(text)
	if err = errors.Join(err, file.Sync(), file.Close()); err != nil {
		err = errors.Join(err, os.Remove(file.Name()))
	}
	return file.Name(), err
}

// writeAtomically replaces path with text in one step, mode 0600.
func writeAtomically(path, text string) error {
	temporary, err := writeTemporary(path, text)
	if err != nil {
		return err
	}
	if err := os.Rename(temporary, path); err != nil {
		return errors.Join(err, os.Remove(temporary))
	}
	return nil
}
