package settings

import (
	"slices"
	"strings"
	"testing"
)

// A limit of nothing would refuse everybody, one beyond measure would overflow.
func TestDecode_RateLimits(t *testing.T) {
	t.Parallel()
	for text, wrong := range map[string]bool{
		"{}": false, "{requests_per_minute: 1, documents_per_hour: 1000000}": false,
		"{requests_per_minute: 0}": true, "{requests_per_minute: -1}": true,
		"{documents_per_hour: 0}": true, "{documents_per_hour: 1000001}": true,
	} {
		_, problems := decode(t, minimal+"rate_limits: "+text+"\n")
		said := slices.ContainsFunc(problems, func(p string) bool { return strings.Contains(p, " rate_limits.") })
		if (len(problems) > 0) != wrong || said != wrong {
			t.Errorf("%s: %q", text, problems)
		}
	}
}
