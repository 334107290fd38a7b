//go:build vm

package loader

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os/exec"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"jail/profiles"
)

// TestKernelAgreesOnTheNetwork compares what the kernel refuses with what the compiled
// policy says, for random rules and questions on loopback addresses.
func TestKernelAgreesOnTheNetwork(t *testing.T) {
	const sets, questions = 40, 120
	k := testKernel(t)
	r := rand.New(rand.NewPCG(9, 10))
	allowed := 0
	for set := range sets {
		role := &profiles.Role{
			ID: uint32(5000 + set), Name: fmt.Sprintf("net%d", set),
			Flags: profiles.AllowFileAccess | profiles.Flags(r.IntN(2))*profiles.AllowNetwork,
			Users: []profiles.Text{{Value: "*"}},
		}
		for range r.IntN(10) {
			role.Network = append(role.Network, randomRule(r))
		}
		if err := k.InstallRoles([]*profiles.Role{role}); err != nil {
			t.Fatal(err)
		}
		policy, err := role.Compile(profiles.Env{})
		if err != nil {
			t.Fatal(err)
		}
		var (
			input strings.Builder
			want  []bool
		)
		for range questions {
			protocol := profiles.TCP + profiles.Protocol(r.IntN(2))
			op := []string{"bind", "connect", "send"}[r.IntN(3)]
			addr, port := randomAddr(r), randomPort(r)
			fmt.Fprintf(&input, "%s %s %s %d\n", protocol, op, addr, port)
			want = append(want, expected(policy, protocol, op, addr, port))
		}
		cmd := exec.Command(attackBinary, "-j", fmt.Sprint(role.ID), "PROBE")
		cmd.Stdin = strings.NewReader(input.String())
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("probe: %v", err)
		}
		answers, lines := strings.Fields(string(out)), strings.Split(input.String(), "\n")
		if len(answers) != questions {
			t.Fatalf("%d answers", len(answers))
		}
		for i, a := range answers {
			if got := a != fmt.Sprint(int(unix.EACCES)); got != want[i] {
				t.Errorf("%s: the kernel answers %s, the policy says %t\n%v", lines[i], a, want[i], role.Network)
			}
			if want[i] {
				allowed++
			}
		}
	}
	if allowed < sets*questions/10 || allowed > sets*questions*9/10 {
		t.Errorf("%d of %d allowed: the questions are too easy", allowed, sets*questions)
	}
	t.Logf("%d questions, %d allowed", sets*questions, allowed)
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
