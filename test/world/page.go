package world

import (
	"html"
	"net/url"
	"regexp"
	"slices"
)

// page is what a browser without scripts makes of an answer.
type page struct {
	address *url.URL
	status  int
	text    string
	forms   []form
}

// form is a form of a page.
type form struct {
	action string
	fields url.Values // as they are sent if nobody touches them; no buttons
	inputs []string   // names of all inputs
	boxes  []string   // values of all check boxes called scope
	choice []string   // values of the buttons called decision
}

// Our pages are well-formed: attributes are in double quotes, no tag has a
// greater-than sign in them that is not escaped.
var (
	tag       = regexp.MustCompile(`<(/?[a-z]+)\b([^>]*)>`)
	attribute = regexp.MustCompile(`([a-z-]+)(?:="([^"]*)")?`)
)

// readForms returns the forms of a page of ours.
func readForms(text string) []form {
	var forms []form
	var current *form
	for _, m := range tag.FindAllStringSubmatch(text, -1) {
		attributes := readAttributes(m[2])
		switch {
		case m[1] == "form":
			current = &form{action: attributes["action"], fields: url.Values{}}
		case m[1] == "/form" && current != nil:
			forms, current = append(forms, *current), nil
		case current != nil && (m[1] == "input" || m[1] == "button"):
			current.add(m[1], attributes)
		}
	}
	return forms
}

func readAttributes(text string) map[string]string {
	attributes := map[string]string{}
	for _, m := range attribute.FindAllStringSubmatch(text, -1) {
		attributes[m[1]] = html.UnescapeString(m[2])
	}
	return attributes
}

// add notes an input or a button.
func (f *form) add(element string, attributes map[string]string) {
	name, value := attributes["name"], attributes["value"]
	_, checked := attributes["checked"]
	box := attributes["type"] == "checkbox"
	switch {
	case name == "":
	case element == "button":
		if name == "decision" {
			f.choice = append(f.choice, value)
		}
	default:
		f.inputs = append(f.inputs, name)
		if box && name == "scope" {
			f.boxes = append(f.boxes, value)
		}
		if !box || checked {
			f.fields.Add(name, value)
		}
	}
}

// with returns the form that has an input of that name.
func (p page) with(input string) (form, bool) {
	i := slices.IndexFunc(p.forms, func(f form) bool { return slices.Contains(f.inputs, input) })
	if i < 0 {
		return form{}, false
	}
	return p.forms[i], true
}

// asking returns the form of the consent page.
func (p page) asking() (form, bool) {
	i := slices.IndexFunc(p.forms, func(f form) bool { return slices.Contains(f.choice, "allow") })
	if i < 0 {
		return form{}, false
	}
	return p.forms[i], true
}
