// Package demo shows the life of an access token against running servers, one
// step after the other: each is printed as the curl command a person would
// type, done, printed with its real answer, and checked. A step that does not
// do what it should ends the demonstration with an error that names it.
//
// It speaks HTTP only and knows nothing of how the servers were started.
package demo
