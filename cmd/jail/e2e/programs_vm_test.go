//go:build vm

package e2e

import (
	"os/exec"
	"testing"
)

// Real programs that act on their own children, jailed and not: the same status and
// output.
func TestProgramsActOnTheirOwnChildrenAsOutside(t *testing.T) {
	load(t)
	for _, c := range []struct {
		name, needs string
		argv        []string
	}{
		{"job control", "bash", []string{"bash", "-c", `set -m
sleep 60 & a=$!
sleep 60 & b=$!
kill -0 $a && kill -STOP %1 && kill -CONT %1 && kill %1
wait $a; echo $?
kill -TERM -- -$b; wait $b; echo $?
(trap "echo caught; exit 3" USR1; kill -USR1 $BASHPID; sleep 60); echo $?
renice -n 5 $$ >/dev/null && ulimit -n 64 && ulimit -n`}},
		{"pipelines in the foreground", "bash", []string{"bash", "-c", `set -m; seq 5 | sort -rn | head -1; timeout -s INT 0.2 sleep 60; echo $?`}},
		{"python", "python3", []string{"python3", "-c", `
import ctypes, mmap, multiprocessing, os, resource, signal, socket, subprocess, sys
p = subprocess.Popen(["sleep", "60"], start_new_session=True)
os.kill(p.pid, 0)
os.sched_setaffinity(p.pid, os.sched_getaffinity(p.pid))
os.setpriority(os.PRIO_PROCESS, p.pid, 5)
resource.prlimit(p.pid, resource.RLIMIT_CORE, (0, 0))
open(f"/proc/{p.pid}/environ").read(1)
os.killpg(p.pid, signal.SIGTERM)
print(p.wait())
signal.signal(signal.SIGALRM, lambda *a: print("alarm"))
signal.setitimer(signal.ITIMER_REAL, 0.05)
signal.pause()
a, b = socket.socketpair()
a.send(b"x"); print(b.recv(1))
with multiprocessing.Pool(2) as pool: print(pool.map(abs, [-1, -2]))
print(ctypes.CDLL(None).getpid() == os.getpid())
m = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
print(subprocess.run(["sh", "-c", "kill -9 $$"]).returncode)`}},
		{"git", "git", []string{"sh", "-ec", `cd "$(mktemp -d)"; export HOME=$PWD
git init -q a; cd a; echo x >f; git add f
git -c user.name=a -c user.email=a@b commit -qm m
git clone -q . ../b; git -C ../b log --format=%s; git -C ../b gc -q; rm -rf ../a ../b`}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if _, err := exec.LookPath(c.needs); err != nil {
				t.Skipf("%s is not installed", c.needs)
			}
			for as, start := range map[string]func(*testing.T, string, ...string) result{"root": run, "user": runAsUser} {
				outside := start(t, c.argv[0], c.argv[1:]...)
				outside.want(t, 0)
				for _, role := range []string{"permissive", "worker"} {
					inside := start(t, jailPath, append([]string{"run", "--role", role, "--"}, c.argv...)...)
					// stderr names process ids
					if inside.stdout != outside.stdout || inside.status != outside.status {
						t.Errorf("%s as %s:\ninside  %+v\noutside %+v", role, as, inside, outside)
					}
				}
			}
		})
	}
}
