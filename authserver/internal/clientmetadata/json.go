package clientmetadata

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"unicode/utf8"
)

// maxDepth bounds nesting; a key set is three deep.
const maxDepth = 8

// object returns the members of a JSON object by their exact names. A member
// that occurs twice, at any depth, makes it ambiguous and is refused, as are
// nesting beyond maxDepth, text that is not UTF-8, and anything after it.
func object(document []byte) (map[string]json.RawMessage, error) {
	if !utf8.Valid(document) {
		return nil, errors.New("not UTF-8")
	}
	decoder := json.NewDecoder(bytes.NewReader(document))
	decoder.UseNumber()
	if err := unambiguous(decoder, 0); err != nil {
		return nil, err
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("more than one JSON value")
	}
	var members map[string]json.RawMessage
	if err := json.Unmarshal(document, &members); err != nil || members == nil {
		return nil, errors.New("not a JSON object")
	}
	return members, nil
}

// errSyntax says no more, because what a decoder says quotes what it read.
var errSyntax = errors.New("not JSON")

// unambiguous reads one value and what is in it.
func unambiguous(decoder *json.Decoder, depth int) error {
	token, err := decoder.Token()
	if err != nil {
		return errSyntax
	}
	opened, nested := token.(json.Delim)
	if !nested {
		return nil
	}
	if depth == maxDepth {
		return fmt.Errorf("nested deeper than %d", maxDepth)
	}
	names := map[string]bool{}
	for decoder.More() {
		if opened == '{' {
			name, err := decoder.Token()
			if err != nil {
				return errSyntax
			}
			text, _ := name.(string) // a decoder gives nothing else here
			if names[text] {
				return errors.New("a member is repeated")
			}
			names[text] = true
		}
		if err := unambiguous(decoder, depth+1); err != nil {
			return err
		}
	}
	if _, err := decoder.Token(); err != nil { // the closing delimiter
		return errSyntax
	}
	return nil
}
