package browser

import (
	"strings"
	"testing"
	"time"

	"github.com/pquerna/otp/totp"
)

// code is what an authenticator app shows for a key.
func code(t *testing.T, key string, now time.Time) string {
	t.Helper()
	text, err := totp.GenerateCode(strings.ReplaceAll(key, " ", ""), now)
	if err != nil {
		t.Fatal(err)
	}
	return text
}
