package web

import "slices"

// permissionGroup is a part of the list of permissions on the consent page.
type permissionGroup struct {
	Title       string
	Hint        string
	Sensitive   bool
	Permissions []Permission
}

// groups puts what is new first and what is sensitive apart; empty groups are
// left out.
func groups(page Consent) []permissionGroup {
	now := permissionGroup{Title: "It will be able to"}
	before := permissionGroup{Title: "It already may"}
	apart := permissionGroup{
		Title: "Only if you really need it", Sensitive: true,
		Hint: "This can do harm that is hard to undo. It is off unless you turn it on.",
	}
	if page.Additional {
		now.Title = "It would also be able to"
	}
	for _, p := range page.Permissions {
		group := &now
		switch {
		case p.Sensitive:
			group = &apart
		case page.Additional && !p.New:
			group = &before
		}
		p.New = p.New && page.Additional // the first time, all are
		group.Permissions = append(group.Permissions, p)
	}
	var shown []permissionGroup
	for _, g := range []permissionGroup{now, apart, before} {
		if len(g.Permissions) > 0 {
			shown = append(shown, g)
		}
	}
	return shown
}

// more reports whether the client asks for what it has not got yet. Who only
// connects again asks for nothing more.
func more(page Consent) bool {
	return page.Additional && slices.ContainsFunc(page.Permissions, func(p Permission) bool { return p.New })
}
