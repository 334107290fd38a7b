//go:build vm

package loader

import (
	"bufio"
	"fmt"
	"io"
	"math/rand/v2"
	"net/netip"
	"os/exec"
	"testing"

	"golang.org/x/sys/unix"

	"jail/bpf"
	"jail/profiles"
)

// TestKernelAgreesOnTheNetwork compares what the kernel refuses with what the compiled
// policies say, for random rules and questions on loopback addresses. Two processes, one of
// them in two roles, live through all sets of rules and are asked everything again, so that
// what a task was told before decides nothing else. Some sets have tables of many pages.
func TestKernelAgreesOnTheNetwork(t *testing.T) {
	const sets, large, questions = 40, 3, 100
	k := testKernel(t)
	r := rand.New(rand.NewPCG(9, 10))
	roles := func(rules int, random func(*rand.Rand) profiles.NetworkRule) (list []*profiles.Role) {
		for id := range uint32(2) {
			role := &profiles.Role{
				ID: 5000 + id, Name: fmt.Sprint("net", id),
				Flags: profiles.AllowFileAccess | profiles.Flags(r.IntN(2))*profiles.AllowNetwork,
				Users: []profiles.Text{{Value: "*"}},
			}
			for range rules {
				role.Network = append(role.Network, random(r))
			}
			list = append(list, role)
		}
		return list
	}
	install := func(list []*profiles.Role) (policies []*profiles.Policy) {
		t.Helper()
		if err := k.InstallRoles(list); err != nil {
			t.Fatal(err)
		}
		for _, role := range list {
			p, err := role.Compile(profiles.Env{})
			if err != nil {
				t.Fatal(err)
			}
			policies = append(policies, p)
		}
		return policies
	}
	install(roles(1, randomRule))
	type prober struct {
		depth   int // roles that it is in
		in      io.Writer
		out     *bufio.Reader
		allowed int
	}
	var probers []*prober
	for i, ids := range []string{"5000", "5000,5001"} {
		in, out, _ := startPiped(t, exec.Command(attackBinary, "-j", ids, "PROBE"))
		probers = append(probers, &prober{depth: i + 1, in: in, out: bufio.NewReader(out)})
	}
	for set := range sets {
		rules, random, addr, port := r.IntN(10), randomRule, randomAddr, randomPort
		if set < large {
			rules, random, addr, port = 3000, spreadRule, spreadAddr, spreadPort
		}
		list := roles(rules, random)
		policies := install(list)
		if p := policies[0]; set < large && (p.NetV4Len <= uint32(bpf.JailAbiPAGE_BYTES)/8 || p.NetV6Len <= uint32(bpf.JailAbiPAGE_BYTES)/32) {
			t.Fatalf("%d and %d ranges: they fit into a page", p.NetV4Len, p.NetV6Len)
		}
		var asked []question
		for range questions {
			asked = append(asked, question{
				protocol: profiles.TCP + profiles.Protocol(r.IntN(2)), op: []string{"bind", "connect", "send"}[r.IntN(3)],
				addr: addr(r), port: port(r),
			})
		}
		asked = append(asked, asked...)
		r.Shuffle(len(asked), func(i, j int) { asked[i], asked[j] = asked[j], asked[i] })
		for _, p := range probers {
			for _, q := range asked {
				fmt.Fprintln(p.in, q.protocol, q.op, q.addr, q.port)
			}
			for _, q := range asked {
				want, answer := true, 0
				for _, policy := range policies[:p.depth] {
					want = want && expected(policy, q.protocol, q.op, q.addr, q.port)
				}
				if _, err := fmt.Fscanln(p.out, &answer); err != nil {
					t.Fatal(err)
				}
				if got := answer != int(unix.EACCES); got != want {
					t.Errorf("set %d, %d roles: %+v: the kernel answers %d, the policies say %t\n%v\n%v",
						set, p.depth, q, answer, want, list[0].Network, list[1].Network)
				}
				if want {
					p.allowed++
				}
			}
		}
	}
	for _, p := range probers {
		if p.allowed < sets*questions/5 || p.allowed > sets*questions*9/5 {
			t.Errorf("%d roles: %d of %d allowed: the questions are too easy", p.depth, p.allowed, 2*sets*questions)
		}
		t.Logf("%d roles: %d questions, %d allowed", p.depth, 2*sets*questions, p.allowed)
	}
}

type question struct {
	protocol profiles.Protocol
	op       string
	addr     netip.Addr
	port     uint16
}

// expected is the policy's verdict. Sending to no address is sending to this machine.
func expected(p *profiles.Policy, protocol profiles.Protocol, op string, addr netip.Addr, port uint16) bool {
	direction := profiles.Connect
	if op == "bind" {
		direction = profiles.Bind
	} else if addr.IsUnspecified() {
		if addr.Is4() {
			addr = netip.AddrFrom4([4]byte{127, 0, 0, 1})
		} else {
			addr = netip.IPv6Loopback()
		}
	}
	allow, _ := p.Verdict(protocol, direction, addr, port)
	return allow
}

func randomPort(r *rand.Rand) uint16 {
	ports := []uint16{0, 1, 79, 80, 81, 1024, 9000, 9001, 65534, 65535}
	return ports[r.IntN(len(ports))]
}

func randomAddr(r *rand.Rand) netip.Addr {
	list := []string{"127.0.0.1", "127.0.0.2", "127.0.1.1", "127.128.0.1", "127.255.255.254", "0.0.0.0", "::1", "::", "::ffff:127.0.0.1", "::ffff:127.128.0.1"}
	return netip.MustParseAddr(list[r.IntN(len(list))])
}

func randomRule(r *rand.Rand) profiles.NetworkRule {
	rule := profiles.NetworkRule{
		Protocol: profiles.Protocol(r.IntN(3)), Direction: profiles.Direction(r.IntN(3)),
		Ports: profiles.AllPorts, Allow: r.IntN(2) == 0,
	}
	if r.IntN(4) > 0 {
		a, b := randomPort(r), randomPort(r)
		rule.Ports = profiles.Ports{First: min(a, b), Last: max(a, b)}
	}
	if r.IntN(3) > 0 {
		addr := randomAddr(r).Unmap()
		bits := []int{0, 8, 9, 16, 24, 31, 32, 64, 127, 128}[r.IntN(10)]
		rule.Prefix = netip.PrefixFrom(addr, min(bits, addr.BitLen())).Masked()
	}
	return rule
}

// spreadRule is one of thousands: few speak of the same addresses or ports.
func spreadRule(r *rand.Rand) profiles.NetworkRule {
	rule := profiles.NetworkRule{
		Protocol: profiles.Protocol(r.IntN(3)), Direction: profiles.Direction(r.IntN(3)),
		Ports: profiles.AllPorts, Allow: r.IntN(2) == 0,
	}
	if r.IntN(3) > 0 {
		addr := spreadAddr(r)
		rule.Prefix = netip.PrefixFrom(addr, addr.BitLen()-r.IntN(12)).Masked()
	}
	if !rule.Prefix.IsValid() || r.IntN(2) > 0 {
		first := spreadPort(r)
		rule.Ports = profiles.Ports{First: first, Last: first + uint16(r.IntN(3))}
	}
	return rule
}

func spreadPort(r *rand.Rand) uint16 { return 20000 + uint16(r.IntN(4000)) }

func spreadAddr(r *rand.Rand) netip.Addr {
	if r.IntN(3) > 0 {
		return netip.AddrFrom4([4]byte{127, 1, byte(r.IntN(40)), byte(r.IntN(256))})
	}
	return netip.AddrFrom16([16]byte{0: 0xfd, 7: byte(r.IntN(4)), 14: byte(r.IntN(20)), 15: byte(r.IntN(256))})
}
