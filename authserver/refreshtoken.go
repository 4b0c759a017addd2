package authserver

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"hash/crc32"
	"math"
	"strings"

	"github.com/gatehouse-mcp/gatehouse/storage"
)

// A refresh token is refreshPrefix and the unpadded base64url of
//
//	16 bytes  id of its grant
//	 4 bytes  generation, big-endian
//	 4 bytes  id of the seal key
//	32 bytes  tag: SHA-256(Grant.Secret ‖ inner)
//	 4 bytes  CRC-32 of all before
//
// where inner is the MAC of grant and generation under the seal key. So it is
// derived, never stored: every replica makes the same one, a grant stays one
// row however often it is refreshed, and neither the database nor the seal key
// alone can forge one. The checksum drops garbage before the store and lets
// secret scanners recognise tokens.
const (
	refreshPrefix  = "ghr_"
	grantIDBytes   = 16
	refreshNamed   = grantIDBytes + 4 // what inner covers
	refreshTag     = refreshNamed + 4
	refreshSum     = refreshTag + sha256.Size
	refreshBytes   = refreshSum + crc32.Size
	purposeRefresh = "refresh token"
)

// newGrantID returns a random grant id that fits into a refresh token.
func newGrantID() string { return randomID() }

// newRefreshToken returns the refresh token of g's generation; empty when g has
// lived for more of them than there are.
func (s *Server) newRefreshToken(g storage.Grant) string {
	id, err := base64.RawURLEncoding.DecodeString(g.ID)
	if err != nil || len(id) != grantIDBytes || g.Generation < 1 || g.Generation > math.MaxUint32 {
		return ""
	}
	raw := make([]byte, 0, refreshBytes)
	raw = append(raw, id...)
	raw = binary.BigEndian.AppendUint32(raw, uint32(g.Generation))
	key := s.sealed.KeyID()
	inner, _ := s.sealed.MAC(key, purposeRefresh, raw) // the key that was just named
	tag := sha256.Sum256(append(g.Secret[:], inner[:]...))
	raw = append(append(raw, key[:]...), tag[:]...)
	raw = binary.BigEndian.AppendUint32(raw, crc32.ChecksumIEEE(raw))
	return refreshPrefix + base64.RawURLEncoding.EncodeToString(raw)
}

// parseRefreshToken returns the part of a rotation that the token determines;
// ok is false when it is not one that a seal key of ours can have made.
func (s *Server) parseRefreshToken(token string) (r storage.Rotation, ok bool) {
	encoded, found := strings.CutPrefix(token, refreshPrefix)
	if !found || len(encoded) != base64.RawURLEncoding.EncodedLen(refreshBytes) {
		return r, false
	}
	// The decoder skips line breaks, so that only the length tells them apart.
	raw, err := base64.RawURLEncoding.Strict().DecodeString(encoded)
	if err != nil || len(raw) != refreshBytes || crc32.ChecksumIEEE(raw[:refreshSum]) != binary.BigEndian.Uint32(raw[refreshSum:]) {
		return r, false
	}
	r.GrantID = base64.RawURLEncoding.EncodeToString(raw[:grantIDBytes])
	r.Generation = int64(binary.BigEndian.Uint32(raw[grantIDBytes:]))
	r.Inner, ok = s.sealed.MAC([4]byte(raw[refreshNamed:refreshTag]), purposeRefresh, raw[:refreshNamed])
	r.TagHash = sha256.Sum256(raw[refreshTag:refreshSum])
	return r, ok
}
