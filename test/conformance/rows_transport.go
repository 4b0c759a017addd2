package conformance

// transport are the requirements that every revision makes.
func transport() []Row {
	return []Row{
		{"TR-01", "MUST", "a foreign Origin gets 403 on every verb"},
		{"TR-02", "SHOULD", "listen on loopback when local, and authenticate every connection"},
		{"TR-03", "MUST", "a POST accepts both application/json and text/event-stream, and is answered with one"},
		{"TR-04", "MUST", "an accepted notification gets 202 without a body, a refused one 4xx"},
		{"TR-05", "MUST", "one message for each POST, but for batches of 2025-03-26"},
		{"TR-06", "MUST", "an unsupported MCP-Protocol-Version gets 400, a missing one is the oldest"},
		{"TR-07", "SHOULD", "event streams are not buffered and are kept alive"},
		{"TR-08", "practice", "CORS allows the protocol's headers and exposes its answers'"},
	}
}

// legacy are those of the revisions with sessions.
func legacy() []Row {
	return []Row{
		{"TL-01", "MUST", "a session id is visible ASCII, unique and secure"},
		{"TL-02", "SHOULD", "a request without its session id gets 400"},
		{"TL-03", "MUST", "an ended session gets 404"},
		{"TL-04", "MAY", "DELETE ends a session"},
		{"TL-05", "MUST", "GET opens an event stream without answers on it"},
		{"TL-06", "MUST NOT", "send one message on several streams"},
		{"TL-07", "MUST", "event ids are unique; a stream is resumed by GET and replays only its own events"},
		{"TL-08", "SHOULD", "a stream begins with an event to resume from; retry before the server closes it"},
		{"TL-09", "SHOULD NOT", "take a lost connection for a cancellation"},
		{"TL-10", "MUST", "initialize agrees on the version asked for, or names another"},
	}
}

// modern are those of the revision without sessions.
func modern() []Row {
	return []Row{
		{"TM-01", "MUST", "server/discover is there"},
		{"TM-02", "MUST", "MCP-Protocol-Version on every POST agrees with _meta, else 400 and -32020"},
		{"TM-03", "MUST", "an unknown version gets 400 and -32022 with the supported ones"},
		{"TM-04", "MUST", "an unknown or removed method gets 404 and -32601"},
		{"TM-05", "MUST", "missing members of _meta get 400 and -32602"},
		{"TM-06", "MUST", "an undeclared capability gets 400 and -32021 with what is required"},
		{"TM-07", "MUST", "Mcp-Method and Mcp-Name agree with the body, after decoding"},
		{"TM-08", "MUST", "Mcp-Param-* agree with the body"},
		{"TM-09", "MUST NOT", "send requests of the server's own on a stream"},
		{"TM-10", "MUST", "closing the response cancels the request"},
		{"TM-11", "SHOULD", "GET and DELETE get 405; session id and Last-Event-ID are ignored"},
		{"TM-12", "MUST", "subscriptions/listen acknowledges first, and sends what was asked for under its id"},
		{"TM-13", "MUST NOT", "send log messages to whoever set no level"},
		{"TM-14", "MUST", "every result has a resultType"},
		{"TM-15", "MUST NOT", "send error codes that are not defined; a missing resource is -32602"},
		{"TM-16", "SHOULD", "a server without sessions answers initialize with its versions"},
		{"TM-17", "MUST NOT", "rely on earlier requests of the connection"},
		{"TM-18", "MUST NOT", "fetch references of schemas"},
		{"TM-19", "SHOULD", "the gate believes the body, not the headers that mirror it"},
	}
}
