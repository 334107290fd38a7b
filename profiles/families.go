package profiles

import (
	"fmt"
	"maps"
	"slices"
)

// Bits of enum socket_kind.
const (
	kindRaw uint32 = 1 << iota
	kindICMP
	kindSCTP
	kindDCCP
	kindUDPLite
	kindNetlink
	kindOther

	allKinds = kindOther<<1 - 1
)

// allFamilies stands for every entry under `families`.
const allFamilies = "*"

// alwaysOpen are the families of every role: of netlink the route protocol only, which
// libc needs.
const alwaysOpen = 1<<1 | 1<<2 | 1<<10 | 1<<16

// families gives the numbers of address families by their names, AF_ left out.
var families = map[string]uint{
	"unix": 1, "inet": 2, "ax25": 3, "ipx": 4, "appletalk": 5, "netrom": 6, "bridge": 7, "atmpvc": 8,
	"x25": 9, "inet6": 10, "rose": 11, "netbeui": 13, "security": 14, "key": 15, "netlink": 16,
	"packet": 17, "atmsvc": 20, "rds": 21, "irda": 23, "pppox": 24, "llc": 26, "ib": 27, "mpls": 28,
	"can": 29, "tipc": 30, "bluetooth": 31, "iucv": 32, "rxrpc": 33, "isdn": 34, "phonet": 35,
	"ieee802154": 36, "caif": 37, "alg": 38, "nfc": 39, "vsock": 40, "kcm": 41, "qipcrtr": 42,
	"smc": 43, "xdp": 44, "mctp": 45,
}

// kinds gives the kinds of sockets within inet, inet6 and netlink.
var kinds = map[string]uint32{
	"raw": kindRaw, "icmp": kindICMP, "sctp": kindSCTP, "dccp": kindDCCP, "udplite": kindUDPLite,
	"netlink": kindNetlink,
}

func checkFamily(name string) error {
	_, family := families[name]
	_, kind := kinds[name]
	if family || kind || name == allFamilies {
		return nil
	}
	known := append(slices.Sorted(maps.Keys(families)), slices.Sorted(maps.Keys(kinds))...)
	return fmt.Errorf("unknown socket family %s%s", token(name), nearest(name, known))
}

// compileFamilies gives the masks of struct policy.
func compileFamilies(names []Text) (familyMask uint64, kindMask uint32, err error) {
	familyMask = alwaysOpen
	for _, n := range names {
		if n.Value == allFamilies {
			return ^uint64(0), allKinds, nil
		}
		if err := checkFamily(n.Value); err != nil {
			return 0, 0, &Error{Place: n.Place, Message: "families: " + err.Error()}
		}
		if f, ok := families[n.Value]; ok {
			familyMask |= 1 << f
		}
		kindMask |= kinds[n.Value]
	}
	return familyMask, kindMask, nil
}
