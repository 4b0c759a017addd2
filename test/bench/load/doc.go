// Package load is a small HTTP/1.1 load generator for loopback: a fixed number
// of keep-alive connections, each sending one request after the other, and a
// histogram of what the answers took.
//
// It shares the machine with what it measures, so it writes prepared bytes and
// reads just enough of an answer to know that it is the right one: a request
// costs the generator a few microseconds and no allocation. It speaks to
// servers of net/http, follows no redirect and verifies no header; it is no
// HTTP client for anything else.
package load
