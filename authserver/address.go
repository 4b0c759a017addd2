package authserver

import (
	"net/http"
	"net/netip"
	"strings"
)

// remoteAddress is whom limits per address count: the address of the peer, or
// the /64 network that one IPv6 subscriber has to himself.
func remoteAddress(r *http.Request) string {
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	address := peer.Addr().Unmap().WithZone("")
	if address.Is6() {
		if network, err := address.Prefix(64); err == nil {
			return network.String()
		}
	}
	return address.String()
}

// maxUserAgent bounds what is kept of what a program says it is, in bytes.
const maxUserAgent = 200

// userAgent is the program that sent r, by its own account.
func userAgent(r *http.Request) string {
	text := r.UserAgent()
	return strings.ToValidUTF8(text[:min(len(text), maxUserAgent)], "")
}
