package authserver

import (
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// peer is where a request comes from: the other end of its connection or, as far
// back as these are trusted proxies, whom they have it from. Each of them adds
// that at the end of X-Forwarded-For; what stands before is anybody's to write.
// The edge sets RemoteAddr to it, and nothing else reads the header.
func (s *Server) peer(r *http.Request) string {
	address, ok := addressIn(r.RemoteAddr)
	if !ok || !s.isProxy(address) {
		return r.RemoteAddr
	}
	hops := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	for _, hop := range slices.Backward(hops) {
		before, ok := addressIn(strings.TrimSpace(hop))
		if !ok {
			break
		}
		if address = before; !s.isProxy(address) {
			break
		}
	}
	return address.String()
}

func (s *Server) isProxy(address netip.Addr) bool {
	return slices.ContainsFunc(s.cfg.TrustedProxies, func(network netip.Prefix) bool { return network.Contains(address) })
}

// addressIn reads an address, with or without port.
func addressIn(text string) (netip.Addr, bool) {
	address, err := netip.ParseAddr(text)
	if err != nil {
		var withPort netip.AddrPort
		withPort, err = netip.ParseAddrPort(text)
		address = withPort.Addr()
	}
	return address.Unmap().WithZone(""), err == nil
}

// remoteAddress is whom limits per address count: the address of the peer, or
// the /64 network that one IPv6 subscriber has to himself.
func remoteAddress(r *http.Request) string { return subscriber(r.RemoteAddr) }

func subscriber(peer string) string {
	address, ok := addressIn(peer)
	if !ok {
		return peer
	}
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
