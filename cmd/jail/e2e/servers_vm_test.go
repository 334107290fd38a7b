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
	"encoding/pem"
	"math/big"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
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

func TestDNSOpensTheResolverOnly(t *testing.T) {
	load(t)
	old, err := os.ReadFile("/etc/resolv.conf")
	if err == nil {
		defer func() { _ = os.WriteFile("/etc/resolv.conf", old, 0o644) }()
	}
	role := "/etc/jail/roles.d/dns-test.toml"
	if err := os.MkdirAll(filepath.Dir(role), 0o755); err != nil {
		t.Fatal(err)
	}
	toml := "[roles.dns-test]\nid = 150\nallow_file_access = true\nallow_exec = true\ndns = true\n"
	if err := os.WriteFile(role, []byte(toml), 0o644); err != nil {
		t.Fatal(err)
	}
	defer os.Remove(role)
	if err := os.WriteFile("/etc/resolv.conf", []byte("nameserver 127.0.0.9\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	run(t, jailPath, "reload").want(t, 0)
	asked := make(chan string, 16)
	for _, addr := range []string{"127.0.0.9:53", "127.0.0.8:53"} {
		c, err := net.ListenPacket("udp", addr)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Close() })
		go func() {
			buf := make([]byte, 512)
			for {
				n, peer, err := c.ReadFrom(buf)
				if err != nil {
					return
				}
				asked <- addr
				buf[2], buf[3] = 0x81, 0x83 // no such name
				_, _ = c.WriteTo(buf[:n], peer)
			}
		}()
	}
	lookup := "import socket\ntry: socket.getaddrinfo('x.example', 80)\nexcept socket.gaierror as e: print(e.errno)"
	r := run(t, jailPath, "run", "--role", "dns-test", "--", "python3", "-c", lookup)
	if strings.TrimSpace(r.stdout) != "-2" { // EAI_NONAME: an answer came
		t.Errorf("look-up: %d %s %s", r.status, r.stdout, r.stderr)
	}
	select {
	case addr := <-asked:
		if addr != "127.0.0.9:53" {
			t.Errorf("asked %s", addr)
		}
	default:
		t.Error("the resolver was not asked")
	}
	other := "import socket\ns = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\ns.sendto(b'x', ('127.0.0.8', 53))"
	run(t, "python3", "-c", other).want(t, 0)
	run(t, jailPath, "run", "--role", "dns-test", "--", "python3", "-c", other).want(t, 1, "Permission denied")
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
