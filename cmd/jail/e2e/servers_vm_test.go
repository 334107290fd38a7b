//go:build vm

package e2e

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/binary"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/big"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// Real servers under the built-in roles, and each refused outside its ports.

// serve starts a command that runs until the function it gives back.
func serve(t *testing.T, env []string, args ...string) (stop func()) {
	t.Helper()
	cmd := exec.Command(jailPath, args...)
	cmd.Dir = "/tmp"
	cmd.Env = append(os.Environ(), env...)
	var output bytes.Buffer
	cmd.Stdout, cmd.Stderr = &output, &output
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	stopped := false
	stop = func() {
		if stopped {
			return
		}
		stopped = true
		_ = cmd.Process.Signal(unix.SIGTERM)
		_ = cmd.Wait()
		for _, trouble := range []string{"ermission denied", "not permitted"} {
			if strings.Contains(output.String(), trouble) {
				t.Errorf("%v was refused something: %s", args, output.String())
			}
		}
	}
	t.Cleanup(stop)
	return stop
}

func redis(port string) func(args ...string) string {
	return func(args ...string) string {
		out, _ := exec.Command("redis-cli", append([]string{"-p", port}, args...)...).CombinedOutput()
		return strings.TrimSpace(string(out))
	}
}

func TestRedisKeepsItsDataUnderDatabase(t *testing.T) {
	load(t)
	dir := t.TempDir()
	start := func() func() {
		return serve(t, nil, "run", "--role", "database", "--", "redis-server", "--port", "6379", "--dir", dir, "--save", "")
	}
	cli := redis("6379")
	stop := start()
	waitFor(t, "redis", func() bool { return cli("ping") == "PONG" })
	if got := cli("set", "key", "kept"); got != "OK" {
		t.Fatalf("set: %s", got)
	}
	cli("bgsave") // by a child
	waitFor(t, "the dump", func() bool { _, err := os.Stat(filepath.Join(dir, "dump.rdb")); return err == nil })
	stop()
	stop = start()
	waitFor(t, "redis again", func() bool { return cli("ping") == "PONG" })
	if got := cli("get", "key"); got != "kept" {
		t.Errorf("after the restart the key is %q", got)
	}
	stop()

	run(t, "timeout", "1", "redis-server", "--port", "6380").want(t, 124) // unjailed it stays
	r := run(t, jailPath, "run", "--role", "database", "--", "redis-server", "--port", "6380")
	if r.status == 0 || !strings.Contains(r.stdout+r.stderr, "Permission denied") {
		t.Errorf("port 6380 was not refused: %d %s", r.status, r.stdout)
	}
}

func TestServiceTellsSystemdThatItIsReady(t *testing.T) {
	load(t)
	const socket = "/run/systemd/notify"
	if err := os.MkdirAll(filepath.Dir(socket), 0o755); err != nil {
		t.Fatal(err)
	}
	ready := func(t *testing.T, socket string) func() bool {
		t.Helper()
		_ = os.Remove(socket)
		c, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: socket, Net: "unixgram"})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Close(); _ = os.Remove(socket) })
		return func() bool {
			buf := make([]byte, 4096)
			_ = c.SetReadDeadline(time.Now().Add(10 * time.Millisecond))
			n, _ := c.Read(buf)
			return bytes.Contains(buf[:n], []byte("READY=1"))
		}
	}
	args := []string{"run", "--role", "database", "--", "redis-server", "--port", "6379", "--dir", t.TempDir(), "--supervised", "systemd", "--save", ""}
	told := ready(t, socket)
	stop := serve(t, []string{"NOTIFY_SOCKET=" + socket}, args...)
	waitFor(t, "READY=1", told)
	stop()

	// A socket that the role does not name.
	told = ready(t, "/run/elsewhere")
	cmd := exec.Command(jailPath, args...)
	cmd.Env = append(os.Environ(), "NOTIFY_SOCKET=/run/elsewhere")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	cli := redis("6379")
	waitFor(t, "redis", func() bool { return cli("ping") == "PONG" })
	for range 20 {
		if told() {
			t.Error("a socket beyond the role was reached")
		}
	}
	_ = cmd.Process.Signal(unix.SIGTERM)
	_ = cmd.Wait()
}

func TestWorkerFetchesOverTLS(t *testing.T) {
	load(t)
	cert, authority := selfSigned(t)
	handler := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("secret page")) })
	for _, addr := range []string{"127.0.0.1:443", "127.0.0.1:8443"} {
		l, err := tls.Listen("tcp", addr, &tls.Config{Certificates: []tls.Certificate{cert}})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = l.Close() })
		go func() { _ = http.Serve(l, handler) }()
	}
	curl := []string{"curl", "-sS", "--cacert", authority}
	fetch := func(url string) result {
		return run(t, jailPath, append(append([]string{"run", "--role", "worker", "--"}, curl...), url)...)
	}
	if r := fetch("https://127.0.0.1/"); r.status != 0 || r.stdout != "secret page" {
		t.Errorf("port 443: %d %q %s", r.status, r.stdout, r.stderr)
	}
	if r := run(t, curl[0], append(curl[1:], "https://127.0.0.1:8443/")...); r.stdout != "secret page" {
		t.Errorf("unjailed: %d %s", r.status, r.stderr)
	}
	if r := fetch("https://127.0.0.1:8443/"); r.status == 0 {
		t.Errorf("port 8443 was not refused: %s", r.stdout)
	}
}

// selfSigned makes a certificate for 127.0.0.1 and gives its file.
func selfSigned(t *testing.T) (tls.Certificate, string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "ca.pem")
	data := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	if err := os.WriteFile(file, data, 0o644); err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, file
}

func TestNginxIsRefusedOutsideItsPorts(t *testing.T) {
	load(t)
	dir := t.TempDir()
	conf := filepath.Join(dir, "nginx.conf")
	text := "pid " + dir + "/pid; events {} http { access_log off; server { listen 8081; } }"
	if err := os.WriteFile(conf, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	run(t, "nginx", "-t", "-c", conf).want(t, 0)
	run(t, jailPath, "run", "--role", "webserver", "--", "nginx", "-c", conf, "-g", "daemon off;").
		want(t, 1, "bind() to 0.0.0.0:8081 failed (13: Permission denied)")
}

// resolver answers every question for an A record with 192.0.2.7, over UDP with the advice
// to ask again over TCP. It tells which protocols were asked at its address.
func resolver(t *testing.T, addr string) (asked func() string) {
	t.Helper()
	var (
		mu   sync.Mutex
		seen = map[string]bool{}
	)
	answer := func(protocol string, q []byte, truncated bool) []byte {
		mu.Lock()
		seen[protocol] = true
		mu.Unlock()
		end := 12 + bytes.IndexByte(q[12:], 0) + 5 // of the question
		a := append([]byte{}, q[:end]...)
		a[2], a[3] = 0x81, 0x80
		copy(a[6:12], make([]byte, 6))
		switch {
		case truncated:
			a[2] |= 2
		case a[end-3] == 1: // an A record
			a[7] = 1
			a = append(a, 0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 192, 0, 2, 7)
		}
		return a
	}
	udp, err := net.ListenPacket("udp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = udp.Close() })
	go func() {
		for buf := make([]byte, 512); ; {
			n, peer, err := udp.ReadFrom(buf)
			if err != nil {
				return
			}
			if n > 16 {
				_, _ = udp.WriteTo(answer("udp", buf[:n], true), peer)
			}
		}
	}()
	tcp, err := net.Listen("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = tcp.Close() })
	go func() {
		for {
			c, err := tcp.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				for {
					var size [2]byte
					if _, err := io.ReadFull(c, size[:]); err != nil {
						return
					}
					q := make([]byte, binary.BigEndian.Uint16(size[:]))
					if _, err := io.ReadFull(c, q); err != nil || len(q) < 17 {
						return
					}
					a := answer("tcp", q, false)
					_, _ = c.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(a))), a...))
				}
			}()
		}
	}()
	return func() string {
		mu.Lock()
		defer mu.Unlock()
		list := slices.Sorted(maps.Keys(seen))
		clear(seen)
		return strings.Join(list, " ")
	}
}

func TestDNSOpensTheResolverOnly(t *testing.T) {
	load(t)
	const file, conf = "/etc/jail/roles.d/dns-test.toml", "/etc/resolv.conf"
	toml := "[roles.dns-test]\nid = 150\nallow_file_access = true\nallow_exec = true\ndns = true\n"
	if err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o755), os.WriteFile(file, []byte(toml), 0o644)); err != nil {
		t.Fatal(err)
	}
	old, err := os.ReadFile(conf)
	t.Cleanup(func() {
		_ = os.Remove(file)
		if err == nil {
			_ = os.WriteFile(conf, old, 0o644)
		} else {
			_ = os.Remove(conf)
		}
	})
	if err := os.WriteFile(conf, []byte("nameserver 127.0.0.9\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	run(t, jailPath, "reload").want(t, 0)
	asked, others := resolver(t, "127.0.0.9:53"), resolver(t, "127.0.0.8:53")
	resolver(t, "127.0.0.9:5353")

	const lookup = "import socket\nprint(socket.getaddrinfo('x.example', 80, type=socket.SOCK_STREAM)[0][4][0])"
	reach := func(kind, addr, port string) []string {
		return []string{"python3", "-c", `
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_` + kind + `)
s.connect(("` + addr + `", ` + port + `))
s.sendall(b"x")
s = socket.socket(socket.AF_INET, socket.SOCK_` + kind + `)
s.sendto(b"x", socket.MSG_FASTOPEN if "` + kind + `" == "STREAM" else 0, ("` + addr + `", ` + port + `))`}
	}
	for name, options := range map[string][]string{"dns = true": {"--role", "dns-test"}, "--dns": {"--dns"}} {
		in := func(argv ...string) result {
			return run(t, jailPath, append(append(append([]string{"run"}, options...), "--"), argv...)...)
		}
		r := in("python3", "-c", lookup)
		if strings.TrimSpace(r.stdout) != "192.0.2.7" {
			t.Errorf("%s: look-up: %d %s %s", name, r.status, r.stdout, r.stderr)
		}
		if got := asked(); got != "tcp udp" {
			t.Errorf("%s: the resolver was asked over %q", name, got)
		}
		for _, kind := range []string{"DGRAM", "STREAM"} {
			in(reach(kind, "127.0.0.9", "53")...).want(t, 0)
			for _, to := range [][2]string{{"127.0.0.8", "53"}, {"127.0.0.9", "5353"}} {
				run(t, "python3", reach(kind, to[0], to[1])[1:]...).want(t, 0) // unjailed
				others()
				in(reach(kind, to[0], to[1])...).want(t, 1, "Permission denied")
			}
		}
		if got := others(); got != "" {
			t.Errorf("%s: another resolver was asked over %s", name, got)
		}
	}

	// Without it nothing is asked, and the denial of a plain look-up names it.
	asked()
	r := run(t, jailPath, "run", "--role", "worker", "--", "python3", "-c", lookup)
	if r.status == 0 || asked() != "" {
		t.Errorf("worker looked a name up: %s", r.stdout)
	}
	if r := run(t, jailPath, "why", "--last", "1"); !strings.Contains(r.stdout, "127.0.0.9:53") || !strings.Contains(r.stdout, "dns = true (--dns)") {
		t.Errorf("jail why does not name dns: %s", r.stdout)
	}
}

// TestPostgresRecoversUnderDatabase: a cluster that was made outside; committed rows are there
// after the server was killed.
func TestPostgresRecoversUnderDatabase(t *testing.T) {
	load(t)
	programs, _ := filepath.Glob("/usr/lib/postgresql/*/bin")
	if len(programs) == 0 {
		t.Fatal("this root has no postgres")
	}
	dir, err := os.MkdirTemp("/var/tmp", "postgres")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	run(t, "chown", "postgres", dir).want(t, 0)
	data := filepath.Join(dir, "data")
	run(t, "runuser", "-u", "postgres", "--", programs[0]+"/initdb", "-D", data, "-A", "trust", "--locale", "C").want(t, 0)
	server := func(role, port string, log *bytes.Buffer) *exec.Cmd {
		cmd := exec.Command(jailPath, "run", "--user", "postgres", "--role", role, "--",
			programs[0]+"/postgres", "-D", data, "-k", dir, "-p", port, "-c", "listen_addresses=127.0.0.1")
		cmd.Dir = "/tmp"
		cmd.Stdout, cmd.Stderr = log, log
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = cmd.Process.Kill() })
		return cmd
	}
	sql := func(text string) string {
		r := run(t, programs[0]+"/psql", "-h", "127.0.0.1", "-U", "postgres", "-Atc", text)
		return strings.TrimSpace(r.stdout + r.stderr)
	}
	wait := func() {
		t.Helper()
		waitFor(t, "postgres", func() bool { return sql("select 1") == "1" })
	}
	var log bytes.Buffer
	cmd := server("database", "5432", &log)
	wait()
	if got := sql("create table t as select generate_series(1, 1000) n"); got != "SELECT 1000" {
		t.Errorf("a table: %s", got)
	}
	// One server process dies, and the rest starts anew by itself.
	backend := exec.Command(programs[0]+"/psql", "-h", "127.0.0.1", "-U", "postgres", "-Atc", "insert into t values (0)", "-c", "select pg_sleep(100)")
	if err := backend.Start(); err != nil {
		t.Fatal(err)
	}
	var pid string
	waitFor(t, "the sleeper", func() bool {
		pid = sql("select pid from pg_stat_activity where query like '%pg_sleep(100)%' and pid <> pg_backend_pid()")
		return pid != "" && !strings.Contains(pid, "\n")
	})
	run(t, "kill", "-9", pid).want(t, 0)
	_ = backend.Wait()
	wait()
	if got := sql("select count(*) from t"); got != "1001" {
		t.Errorf("after a server process was killed there are %s rows", got)
	}
	// All of it.
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
	waitFor(t, "the end of its children", func() bool { return len(subjects(t)) == 0 })
	cmd = server("database", "5432", &log)
	wait()
	if got := sql("select count(*), sum(n) from t"); got != "1001|500500" {
		t.Errorf("after postgres was killed: %s", got)
	}
	_ = cmd.Process.Signal(unix.SIGINT) // its fast way to end
	if err := cmd.Wait(); err != nil {
		t.Errorf("postgres: %v", err)
	}
	text := log.String()
	if !strings.Contains(text, "automatic recovery in progress") {
		t.Errorf("nothing was recovered: %s", text)
	}
	for _, trouble := range []string{"ermission denied", "not permitted"} {
		if strings.Contains(text, trouble) {
			t.Errorf("postgres was refused something: %s", text)
		}
	}

	// The role's other port is redis'; any third is refused.
	for role, refused := range map[string]bool{"database": true, "permissive": false} {
		log.Reset()
		cmd := server(role, "5433", &log)
		if !refused {
			waitFor(t, "postgres on another port", func() bool {
				return run(t, programs[0]+"/psql", "-h", "127.0.0.1", "-p", "5433", "-U", "postgres", "-c", "").status == 0
			})
			_ = cmd.Process.Signal(unix.SIGINT)
		}
		err := cmd.Wait()
		if got := err != nil && strings.Contains(log.String(), "ermission denied"); got != refused {
			t.Errorf("%s on port 5433: %v %s", role, err, log.String())
		}
	}
}

// TestSystemdServiceBecomesReady is a service of the type that waits for READY=1.
func TestSystemdServiceBecomesReady(t *testing.T) {
	load(t)
	const file = "/etc/jail/roles.d/mute.toml"
	toml := "[roles.mute]\nid = 151\nallow_file_access = true\n[[roles.mute.network]]\nport = 6379\nallow = true\n"
	err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o755), os.WriteFile(file, []byte(toml), 0o644))
	for _, role := range []string{"database", "mute"} {
		unit := "[Service]\nType=notify\nTimeoutStartSec=20\nStateDirectory=test-redis\nExecStart=" + jailPath + " run --role " + role +
			" -- /usr/bin/redis-server --port 6379 --supervised systemd --dir /var/lib/test-redis --save ''\n"
		err = errors.Join(err, os.WriteFile("/run/systemd/system/test-"+role+".service", []byte(unit), 0o644))
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.Remove(file) })
	run(t, jailPath, "reload").want(t, 0)
	run(t, "systemctl", "daemon-reload").want(t, 0)
	run(t, "systemctl", "start", "test-database").want(t, 0)
	pid := strings.TrimSpace(run(t, "systemctl", "show", "-P", "MainPID", "test-database").stdout)
	found := false
	for _, s := range subjects(t) {
		found = found || fmt.Sprint(s["pid"]) == pid && fmt.Sprint(s["roles"]) == "[database]"
	}
	if got := redis("6379")("ping"); !found || got != "PONG" {
		t.Errorf("ready; jailed %t, ping %s", found, got)
	}
	run(t, "systemctl", "stop", "test-database").want(t, 0)
	journal := run(t, "journalctl", "-u", "test-database", "--no-pager").stdout
	if strings.Contains(journal, "ermission denied") || strings.Contains(journal, "not permitted") {
		t.Errorf("it was refused something: %s", journal)
	}
	// A role that does not name systemd's socket: it serves, and never becomes ready.
	if r := run(t, "systemctl", "start", "test-mute"); r.status == 0 {
		t.Error("ready without a message")
	}
	if got := strings.TrimSpace(run(t, "systemctl", "show", "-P", "Result", "test-mute").stdout); got != "timeout" {
		t.Errorf("the result of a service that cannot tell: %s", got)
	}
}

func TestDeniedUnixSocketsAreNamed(t *testing.T) {
	load(t)
	for _, name := range []string{"@jail-e2e", "/run/jail-e2e.sock"} {
		_ = os.Remove(name)
		l, err := net.ListenUnix("unix", &net.UnixAddr{Name: name, Net: "unix"})
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		script := "import socket\ns = socket.socket(socket.AF_UNIX)\ns.connect('" + strings.Replace(name, "@", "\\0", 1) + "')"
		run(t, "python3", "-c", script).want(t, 0)
		run(t, jailPath, "run", "--role", "worker", "--", "python3", "-c", script).want(t, 1, "Permission denied")
		r := run(t, jailPath, "why", "--last", "1")
		for _, text := range []string{"unix " + name, `unix = ["` + name + `"]`, "allow_network = false"} {
			if !strings.Contains(r.stdout, text) {
				t.Errorf("jail why lacks %q: %s", text, r.stdout)
			}
		}
		if r := run(t, jailPath, "explain", "worker", "connect", name); !strings.HasPrefix(r.stdout, "deny") {
			t.Errorf("explain: %s %s", r.stdout, r.stderr)
		}
	}
	if r := run(t, jailPath, "explain", "worker", "connect", "/dev/log"); !strings.HasPrefix(r.stdout, "allow") {
		t.Errorf("explain: %s %s", r.stdout, r.stderr)
	}
}
