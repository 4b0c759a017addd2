package policy

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// This file tells rules that somebody means from those that protect nothing
// because of a slip.

var errStar = errors.New(`"*" may only end a pattern, as in "analytics/*"`)

func checkMethod(method string) error {
	if strings.Contains(method, "*") {
		return errStar
	}
	if err := checkText(method); err != nil {
		return err
	}
	if slices.Contains(protocolMethods, method) {
		return nil
	}
	if slices.Contains(strings.Split(method, "/"), "") {
		return errors.New("a name is missing before, after or between slashes")
	}
	if i := slices.IndexFunc(protocolMethods, func(known string) bool { return misspelt(method, known) }); i >= 0 {
		return fmt.Errorf("the protocol has no such method; did you mean %q?", protocolMethods[i])
	}
	if family := (Operation{Method: method}).Family(); protocolOwns(family) {
		return fmt.Errorf("the protocol has no such method (of %s/ it has %s)", family, strings.Join(methodsOf(family), ", "))
	}
	return nil
}

func checkPattern(pattern string) error {
	stem := strings.TrimSuffix(pattern, "*")
	names := strings.Split(stem, "/")
	if len(names) < 2 || names[len(names)-1] != "" || slices.Contains(names[:len(names)-1], "") || strings.Contains(stem, "*") {
		return errStar
	}
	if err := checkText(stem); err != nil {
		return err
	}
	for _, family := range []string{FamilyTools, FamilyResources, FamilyPrompts, FamilyAdmin} {
		switch {
		case names[0] == family:
			if protocolOwns(family) && !slices.ContainsFunc(protocolMethods, func(known string) bool { return strings.HasPrefix(known, stem) }) {
				return fmt.Errorf("the protocol has no such methods (of %s/ it has %s)", family, strings.Join(methodsOf(family), ", "))
			}
		case protocolOwns(family) && near(names[0], family), strings.EqualFold(names[0], family):
			return fmt.Errorf("the protocol has no such family; did you mean %q?", family+"/*")
		}
	}
	return nil
}

// protocolOwns reports whether only the protocol adds methods to a family.
func protocolOwns(family string) bool {
	return family == FamilyTools || family == FamilyResources || family == FamilyPrompts
}

func methodsOf(family string) (list []string) {
	for _, method := range protocolMethods {
		if strings.HasPrefix(method, family+"/") {
			list = append(list, method)
		}
	}
	return list
}

// checkName is for names of tools and prompts.
func checkName(name string) error {
	switch {
	case strings.Contains(name, "*"):
		return errors.New(`a rule names one; "*" matches nothing`)
	case slices.Contains(protocolMethods, name):
		return errors.New("this is a method, whose place is among the method rules")
	}
	return checkText(name)
}

func checkURI(uri string) error {
	if before, _, found := strings.Cut(uri, "{"); found {
		return fmt.Errorf("a template matches only itself; name what its URIs begin with, as in %q", before)
	}
	if before, found := strings.CutSuffix(uri, "*"); found {
		return fmt.Errorf(`a rule matches what begins like it, without "*"; did you mean %q?`, before)
	}
	all, ok := readings(uri)
	if !ok {
		return errors.New("not a URI that can be compared (RFC 3986)")
	}
	if i := slices.IndexFunc(all, func(reading string) bool { return reading != uri }); i >= 0 {
		return fmt.Errorf("not in canonical form; did you mean %q?", all[i])
	}
	return nil
}

// checkText refuses what nobody sees in a file.
func checkText(name string) error {
	invisible := func(r rune) bool { return unicode.IsControl(r) || unicode.Is(unicode.Cf, r) }
	if !utf8.ValidString(name) || strings.ContainsFunc(name, invisible) || strings.TrimSpace(name) != name {
		return errors.New("the name has invisible characters, or spaces around it")
	}
	return nil
}

// misspelt reports whether method is nearly known, name by name.
func misspelt(method, known string) bool {
	if strings.EqualFold(method, known) {
		return true
	}
	names, ours := strings.Split(method, "/"), strings.Split(known, "/")
	if len(names) != len(ours) || len(known) < 6 { // anything is near "ping"
		return false
	}
	for i := range names {
		if !near(names[i], ours[i]) {
			return false
		}
	}
	return true
}

// near reports whether one slip of the keyboard makes a of b: a letter too
// many, too few, another one, or two in the wrong order, but never in the
// first ("getLevel" is not a misspelt "setLevel").
func near(a, b string) bool {
	a, b = strings.ToLower(a), strings.ToLower(b)
	if a == "" || b == "" || a[0] != b[0] {
		return a == b
	}
	for a != "" && b != "" && a[0] == b[0] {
		a, b = a[1:], b[1:]
	}
	for a != "" && b != "" && a[len(a)-1] == b[len(b)-1] {
		a, b = a[:len(a)-1], b[:len(b)-1]
	}
	swapped := len(a) == 2 && len(b) == 2 && a[0] == b[1] && a[1] == b[0]
	return len(a) <= 1 && len(b) <= 1 || swapped
}
