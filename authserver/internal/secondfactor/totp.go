package secondfactor

import (
	"bytes"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base32"
	"encoding/base64"
	"fmt"
	"image/png"
	"strings"
	"time"

	"github.com/pquerna/otp"
	"github.com/pquerna/otp/hotp"
	"github.com/pquerna/otp/totp"
)

const (
	// SecretSize is the length of a secret in bytes (RFC 4226 §4 R6).
	SecretSize = 20

	period = 30 // seconds of a step (RFC 6238 §4.1)
	skew   = 1  // steps that a clock may be off, each way (RFC 6238 §5.2)
	digits = 6
	qrSize = 232 // pixels
)

// NewSecret returns a new secret.
func NewSecret() []byte {
	secret := make([]byte, SecretSize)
	rand.Read(secret)
	return secret
}

// text is a secret as apps read it.
func text(secret []byte) string {
	return base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(secret)
}

// Key is the secret as people type it into an app, in groups of four.
func Key(secret []byte) string { return grouped(text(secret), " ") }

// URL is the otpauth address of a secret; product and username are shown by the
// app.
func URL(product, username string, secret []byte) (string, error) {
	key, err := totp.Generate(totp.GenerateOpts{Issuer: product, AccountName: username, Secret: secret})
	if err != nil {
		return "", fmt.Errorf("secondfactor: %w", err)
	}
	return key.URL(), nil
}

// QR is the picture of an otpauth address: a data: URL of a PNG.
func QR(address string) (string, error) {
	key, err := otp.NewKeyFromURL(address)
	if err != nil {
		return "", fmt.Errorf("secondfactor: %w", err)
	}
	picture, err := key.Image(qrSize, qrSize)
	if err != nil {
		return "", fmt.Errorf("secondfactor: %w", err)
	}
	var out bytes.Buffer
	if err := png.Encode(&out, picture); err != nil {
		return "", fmt.Errorf("secondfactor: %w", err)
	}
	return "data:image/png;base64," + base64.StdEncoding.EncodeToString(out.Bytes()), nil
}

// Verify reports whether code is the secret's around now, and of which step.
// The step must be spent (RFC 6238 §5.2: a code is accepted once); it can be
// forgotten at [Gone].
func Verify(secret []byte, code string, now time.Time) (step int64, right bool) {
	code = digitsOf(code)
	key := text(secret)
	for at := now.Unix()/period - skew; at <= now.Unix()/period+skew; at++ { // always all of them
		want, err := hotp.GenerateCodeCustom(key, uint64(at), hotp.ValidateOpts{Digits: digits, Algorithm: otp.AlgorithmSHA1}) //nolint:gosec // after 1970
		if err == nil && subtle.ConstantTimeCompare([]byte(want), []byte(code)) == 1 {
			step, right = at, true
		}
	}
	return step, right
}

// Gone is when a step is not accepted any more.
func Gone(step int64) time.Time { return time.Unix((step+skew+1)*period, 0) }

// digitsOf is a typed code without the spaces that apps show.
func digitsOf(code string) string {
	return strings.Map(func(r rune) rune {
		if r == ' ' || r == '-' || r == '\u00A0' {
			return -1
		}
		return r
	}, code)
}

// grouped writes s in groups of four.
func grouped(s, between string) string {
	var out strings.Builder
	for i, r := range s {
		if i > 0 && i%4 == 0 {
			out.WriteString(between)
		}
		out.WriteRune(r)
	}
	return out.String()
}
