package browser

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// structure is what can be seen on the page, a line for each element that shows
// something by itself: what it is, what it says, what state it is in.
func (b *tab) structure() string {
	b.t.Helper()
	return eval[string](b, `(() => {
		const ink = "input, button, a, img, .icon, .mark, .avatar, .card, .panel, .note, .client, .facts, .badge, .sign, details";
		const line = (e) => {
			const own = [...e.childNodes].filter((n) => n.nodeType === Node.TEXT_NODE).map((n) => n.data.replace(/\s+/g, " ").trim()).filter(Boolean).join(" … ");
			if (!own && !e.matches(ink)) return "";
			const kind = [e.localName, ...e.classList].join(".") + (e.type && e.type !== e.localName ? "[" + e.type + "]" : "");
			const state = ["checked", "disabled", "readOnly", "required", "open"].filter((s) => e[s] === true);
			if (e === document.activeElement) state.push("focused");
			return "\t" + [kind, ...state].join(" ") + (own && " " + JSON.stringify(own)) + "\n";
		};
		return [...document.body.querySelectorAll("*")].filter((e) => e.checkVisibility({visibilityProperty: true}) && e.localName !== "noscript").map(line).join("");
	})()`)
}

// structured compares what can be seen with what could be seen when the pictures
// were taken, or notes it anew.
func (b *tab) structured(name, got string) {
	b.t.Helper()
	file := filepath.Join("golden", safe(name)+".txt")
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			b.t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if errors.Is(err, os.ErrNotExist) {
		b.t.Errorf("%s is not described: do it with -run Golden -update", name)
		return
	}
	if err != nil {
		b.t.Fatal(err)
	}
	if string(want) != got {
		before, now := strings.Split(string(want), "\n"), strings.Split(got, "\n")
		b.t.Errorf("%s shows something else than before; gone: %q, new: %q", name, without(before, now), without(now, before))
	}
}

// without are the lines that are not among others.
func without(lines, others []string) []string {
	return slices.DeleteFunc(slices.Clone(lines), func(line string) bool { return slices.Contains(others, line) })
}
