package conformance

// Row is one thing that must hold, and the id under which tests prove it.
type Row struct {
	ID    string // as people write it: S07, RS-07
	Level string // of the specification, or "guide"
	Must  string
}

// Rows returns every row, in the order of COVERAGE.md.
func Rows() []Row {
	var all []Row
	for _, section := range Sections() {
		all = append(all, section.Rows...)
	}
	return all
}

// Section is a group of rows with a heading.
type Section struct {
	Title string
	Rows  []Row
}

// Sections returns the rows by where they come from.
func Sections() []Section {
	return []Section{
		{"The security guide", guide()},
		{"The resource server: tokens and discovery", resourceServer()},
		{"Streamable HTTP in every era", transport()},
		{"Streamable HTTP with sessions: 2025-03-26 to 2025-11-25", legacy()},
		{"Streamable HTTP without sessions: 2026-07-28", modern()},
	}
}

// guide are the features of the security guide, under its names.
func guide() []Row {
	return []Row{
		{"S01", "guide", "localhost_only: another machine gets 403 ip_not_allowed, loopback of either family passes"},
		{"S02", "guide", "allowed_ips: addresses and networks; behind a trusted proxy the one that it names"},
		{"S03", "guide", "allowed_origins: hosts, IPv6, regular expressions; a foreign Origin or Host gets 403 on every verb"},
		{"S04", "guide", "require_https: plain http gets 403 and no redirect; certificates are reloaded"},
		{"S05", "guide", "a hook decides what counts as https"},
		{"S06", "guide", "auth_token: static tokens with scopes, beside OAuth or alone, compared in constant time"},
		{"S07", "guide", "auth_header_name: the token comes in another header"},
		{"S08", "guide", "auth_exempt_paths: exact paths need no token, no other spelling of them does"},
		{"S09", "guide", "oauth_enabled, issuer, audience, jwks_uri: JWTs are checked, keys are discovered"},
		{"S10", "guide", "clock_skew and required_scopes, on both sides of every boundary"},
		{"S11", "guide", "opaque tokens: introspection or a hook; every error refuses"},
		{"S12", "guide", "the four default scopes with descriptions; mcp:admin implies the others"},
		{"S13", "guide", "custom_scopes: on the consent page, in metadata, in rules"},
		{"S14", "guide", "tools_scope, resources_scope, admin_scope: one for each family of methods"},
		{"S15", "guide", "rules for methods and patterns, and a hook; what is unknown needs the administrator"},
		{"S16", "guide", "rules for resources: the longest prefix of the canonical URI"},
		{"S17", "guide", "lists show what the token may use, and the rest is refused"},
		{"S18", "guide", "enforce_protocol_version, supported_versions: others get 400 and the list; none passes"},
		{"S19", "guide", "deprecated_versions are served with a warning; a hook decides otherwise"},
		{"S20", "guide", "sessions: timeout, entropy, limit for each client, clean-up; bound to their principal"},
		{"S21", "guide", "security headers on every answer, refusals too; they can be replaced"},
		{"S22", "guide", "CORS: preflights need no token, answers can be read, never * with credentials"},
		{"S23", "guide", "rate limits for each address and each principal: 429 and Retry-After"},
		{"S24", "guide", "bounded and checked input: size, depth, type, duplicate keys, header count"},
		{"S25", "guide", "no answer tells anything of the inside"},
		{"S26", "guide", "the guide's own tests, by curl"},
		{"S27", "guide", "the security log with its switches"},
		{"S28", "guide", "metrics of success and failure, and alert rules on them"},
		{"S29", "guide", "emergency revocation: everything, or a person's, everywhere within a second"},
		{"S30", "guide", "config check --production walks the checklist"},
		{"S31", "guide", "penetration tests, scripted, with their findings judged"},
	}
}

// resourceServer are the requirements on token handling and discovery (MCP
// authorization, and its security best practices).
func resourceServer() []Row {
	return []Row{
		{"RS-01", "MUST", "protected resource metadata with resource and authorization_servers (RFC 9728)"},
		{"RS-02", "MUST", "found by the challenge of a 401 and at both well-known paths"},
		{"RS-03", "MUST", "its resource is the URL that clients use"},
		{"RS-04", "SHOULD", "the first challenge names the scopes needed now"},
		{"RS-05", "SHOULD NOT", "ask for offline_access, in challenge or metadata"},
		{"RS-06", "SHOULD", "scopes_supported is a minimal set and not the catalog"},
		{"RS-07", "MUST", "validate a token before anything else: signature, algorithm, type, issuer, times"},
		{"RS-08", "MUST", "refuse a token for another audience, JWT or opaque"},
		{"RS-09", "MUST NOT", "pass the client's token on"},
		{"RS-10", "MUST", "401 with a challenge; invalid_token only when a token was presented"},
		{"RS-11", "MUST", "400 for malformed credentials, 401 for invalid ones, 403 for missing scopes"},
		{"RS-12", "SHOULD", "403 insufficient_scope names all scopes of the operation, before a stream begins"},
		{"RS-13", "MUST", "a broad scope implies the narrow ones"},
		{"RS-14", "MUST", "every request needs its token, within a session or stream too"},
		{"RS-15", "MUST NOT", "take a token from the query or the body"},
		{"RS-16", "MUST NOT", "take a session for authentication"},
		{"RS-17", "MUST", "session ids are unguessable and bound to their principal, like what is kept for them"},
		{"RS-18", "MUST NOT", "take the possession of a handle for authentication"},
		{"RS-19", "MUST", "requestState is protected against change, other people and replay"},
		{"RS-20", "MUST", "cacheScope private and a ttlMs on whatever depends on the token"},
		{"RS-21", "MUST NOT", "a list varies with the token alone, and what it hides cannot be used"},
		{"RS-22", "MUST NOT", "trust clientInfo"},
		{"RS-23", "practice", "streams end with their token"},
		{"RS-24", "MAY", "metadata names the header as the one method, and is for every origin"},
	}
}
