package loader

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path"
	"strings"
)

// resolverSockets are the sockets of local resolvers: systemd-resolved's and nscd's.
var resolverSockets = []string{"/run/systemd/resolve/io.systemd.Resolve", "/run/nscd/socket"}

// resolvers gives what `dns = true` opens: the name servers of /etc/resolv.conf, as the
// C library reads it, and the local resolver's sockets.
func resolvers(root string) ([]netip.Addr, []string, error) {
	const file = "/etc/resolv.conf"
	name, err := followLinks(root, file)
	if err != nil {
		return nil, nil, err
	}
	data, err := os.ReadFile(path.Join(root, name))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, nil, fmt.Errorf("%s: %w", file, err)
	}
	return parseResolvers(string(data)), resolverSockets, nil
}

// parseResolvers reads resolv.conf(5). Without a name server it is this machine's.
func parseResolvers(text string) []netip.Addr {
	var list []netip.Addr
	for line := range strings.Lines(text) {
		fields := strings.Fields(line)
		if len(fields) < 2 || fields[0] != "nameserver" {
			continue
		}
		if a, err := netip.ParseAddr(fields[1]); err == nil {
			list = append(list, a.WithZone(""))
		}
	}
	if len(list) == 0 {
		list = []netip.Addr{netip.AddrFrom4([4]byte{127, 0, 0, 1}), netip.IPv6Loopback()}
	}
	return list
}
