package streamable

import (
	"encoding/base64"
	"strings"
)

// decodeHeader decodes a mirrored header value: "=?base64?…?=" encloses what
// cannot stand in a header (MCP 2026-07-28, Streamable HTTP).
func decodeHeader(value string) (string, bool) {
	encoded, found := strings.CutPrefix(value, "=?base64?")
	encoded, closed := strings.CutSuffix(encoded, "?=")
	if !found || !closed {
		return value, true
	}
	decoded, err := base64.StdEncoding.Strict().DecodeString(encoded)
	return string(decoded), err == nil
}
