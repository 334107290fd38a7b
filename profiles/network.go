package profiles

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

// ParsePrefix reads an address or a CIDR. An IPv4-mapped IPv6 address is the IPv4 one.
func ParsePrefix(s string) (netip.Prefix, error) {
	wrong := func(format string, args ...any) (netip.Prefix, error) {
		return netip.Prefix{}, fmt.Errorf("address %s "+format, append([]any{token(s)}, args...)...)
	}
	text, length, isPrefix := strings.Cut(s, "/")
	if strings.Contains(text, "%") {
		return wrong("has a zone: rules are about addresses on every interface")
	}
	addr, err := netip.ParseAddr(text)
	if err != nil {
		if looksLikeName(text) {
			return wrong("is a name: addresses are what the kernel sees, write them")
		}
		return wrong("is not an IPv4 or IPv6 address or CIDR")
	}
	bits := addr.BitLen()
	if isPrefix {
		n, err := strconv.Atoi(length)
		if err != nil || n < 0 || n > bits || strconv.Itoa(n) != length {
			return wrong("has a bad prefix length: expected 0 to %d", bits)
		}
		bits = n
	}
	if addr.Is4In6() && bits >= 96 {
		addr, bits = addr.Unmap(), bits-96
	}
	p := netip.PrefixFrom(addr, bits)
	masked := p.Masked()
	if masked.Addr() != addr {
		return wrong("has bits set beyond its prefix: did you mean %s?", masked)
	}
	return masked, nil
}

// looksLikeName tells a host name from a mistyped address.
func looksLikeName(s string) bool {
	if strings.Contains(s, ":") {
		return false
	}
	return strings.ContainsFunc(s, func(r rune) bool { return r|0x20 >= 'g' && r|0x20 <= 'z' })
}

// ParsePorts reads a port or a range "A-B", as options of `jail run` have them.
func ParsePorts(s string) (Ports, error) {
	if strings.Contains(s, "-") {
		return parseRange(s)
	}
	n, err := parsePort(s)
	if err != nil {
		return Ports{}, err
	}
	return Ports{n, n}, nil
}

// parseRange reads "A-B".
func parseRange(s string) (Ports, error) {
	first, last, ok := strings.Cut(s, "-")
	if !ok {
		if n, err := parsePort(s); err == nil {
			return Ports{}, fmt.Errorf("a single port is an integer: write port = %d", n)
		}
		return Ports{}, fmt.Errorf(`%s is not a port: expected an integer or a range "A-B"`, token(s))
	}
	a, err := parsePort(first)
	if err != nil {
		return Ports{}, fmt.Errorf("range %s: %w", token(s), err)
	}
	b, err := parsePort(last)
	if err != nil {
		return Ports{}, fmt.Errorf("range %s: %w", token(s), err)
	}
	switch {
	case a == 0:
		return Ports{}, fmt.Errorf("range %s has port 0, which stands for a port of the kernel's choice: give it a rule of its own", token(s))
	case b < a:
		return Ports{}, fmt.Errorf("range %s runs backward", token(s))
	}
	return Ports{a, b}, nil
}

func parsePort(s string) (uint16, error) {
	n, err := strconv.ParseUint(s, 10, 16)
	if err != nil || strconv.FormatUint(n, 10) != s {
		return 0, fmt.Errorf("%s is not a port: expected 0 to 65535", token(s))
	}
	return uint16(n), nil
}
