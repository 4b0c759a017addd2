// Package integration proves what only the whole pair can show: unmodified
// clients of others, statements per request, and many clients at once.
package integration
