// Package scopes is the vocabulary both servers share: the grammar of OAuth
// scopes (RFC 6749 §3.3), sets of them, and the [Catalog] that knows what a
// scope means to a person and which narrower scopes it implies.
//
// It decides nothing about clients, tokens or requests, keeps no state and
// imports nothing of ours.
package scopes
