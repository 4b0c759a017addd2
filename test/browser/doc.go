// Package browser holds tests that meet the pages with a real browser: people
// who sign in and decide, with a mouse, a keyboard, a passkey or without
// JavaScript, and MCP Inspector as a client that opens our pages.
//
// Every state of every page is judged by axe-core, in light and in dark, and
// compared with a picture under golden. `go test ./test/browser -run Golden
// -update` takes new pictures; look at them before you keep them.
package browser
