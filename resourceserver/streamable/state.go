package streamable

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"time"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// StateSealer makes the requestState of an input-required result, and any
// other handle that a client carries for a server: it cannot be read, changed,
// used by another principal, for another operation, or after its time (MCP
// 2026-07-28, multi round-trip requests, and the rules against the hijacking of
// state handles). It can be used more than once: what must happen only once
// needs a memory of its own. It is safe for concurrent use.
type StateSealer struct {
	aead cipher.AEAD
	life time.Duration
}

// NewStateSealer returns a sealer for states that live that long. Every replica
// needs the same key, of 32 random bytes; other lengths are an error.
func NewStateSealer(key []byte, life time.Duration) (*StateSealer, error) {
	if len(key) != 32 || life <= 0 {
		return nil, errors.New("a state sealer needs a key of 32 bytes and a positive lifetime")
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		return nil, err
	}
	return &StateSealer{aead, life}, nil
}

// Seal returns state for whoever sent req, to come back with the same
// operation: method, name or URI, and arguments. The requests that have such
// states are tools/call, prompts/get and resources/read; others are an error.
func (s *StateSealer) Seal(req mcp.Request, state []byte) (string, error) {
	binding, _, ok := binding(req)
	if !ok {
		return "", errors.New("the request cannot carry state")
	}
	plain := binary.BigEndian.AppendUint64(nil, uint64(time.Now().Add(s.life).UnixMilli()))
	sealed := s.aead.Seal(nil, nil, append(plain, state...), binding) //nolint:gosec // the AEAD makes a random nonce
	return base64.RawURLEncoding.EncodeToString(sealed), nil
}

// Open returns what Seal was given, from the requestState of req. The error is
// the JSON-RPC one for invalid parameters, and says no more than that.
func (s *StateSealer) Open(req mcp.Request) ([]byte, error) {
	refused := &jsonrpc.Error{Code: jsonrpc.CodeInvalidParams, Message: "requestState is not valid"}
	binding, sealed, ok := binding(req)
	raw, err := base64.RawURLEncoding.Strict().DecodeString(sealed)
	if !ok || err != nil {
		return nil, refused
	}
	plain, err := s.aead.Open(nil, nil, raw, binding)
	if err != nil || len(plain) < 8 || uint64(time.Now().UnixMilli()) >= binary.BigEndian.Uint64(plain) {
		return nil, refused
	}
	return plain[8:], nil
}

// binding returns what a state belongs to, unambiguously, and the state that
// came with the request.
func binding(req mcp.Request) (of []byte, state string, ok bool) {
	var operation [3]string // method, name or URI, arguments
	switch r := req.(type) {
	case *mcp.CallToolRequest:
		operation, state = [3]string{"tools/call", r.Params.Name, canonical(r.Params.Arguments)}, r.Params.RequestState
	case *mcp.GetPromptRequest:
		arguments, _ := json.Marshal(r.Params.Arguments) //nolint:errchkjson // a map of strings cannot fail
		operation, state = [3]string{"prompts/get", r.Params.Name, string(arguments)}, r.Params.RequestState
	case *mcp.ReadResourceRequest:
		operation, state = [3]string{"resources/read", r.Params.URI}, r.Params.RequestState
	default:
		return nil, "", false
	}
	var user string
	if extra := req.GetExtra(); extra != nil {
		user = userID(extra.TokenInfo)
	}
	for _, part := range append(operation[:], user) {
		of = binary.BigEndian.AppendUint64(of, uint64(len(part)))
		of = append(of, part...)
	}
	return of, state, true
}

// canonical returns JSON in one spelling: a client that repeats its arguments
// need not repeat spaces and the order of members.
func canonical(raw json.RawMessage) string {
	decoder := json.NewDecoder(bytes.NewReader(raw))
	decoder.UseNumber()
	var value any
	if decoder.Decode(&value) != nil {
		return string(raw)
	}
	spelled, err := json.Marshal(value)
	if err != nil {
		return string(raw)
	}
	return string(spelled)
}
