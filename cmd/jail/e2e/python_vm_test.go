//go:build vm

package e2e

import (
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// resultsOf is a program of Python's: runs the tests that its arguments name and prints each
// one's result.
const resultsOf = `
import collections, os, sys, unittest
out = os.fdopen(os.dup(1), "w")
results = collections.OrderedDict()
class Result(unittest.TestResult):
    def startTest(self, test): super().startTest(test); results.setdefault(test.id(), "passed")
    def addFailure(self, test, err): results[test.id()] = "failed"; print(test.id(), err[1], file=sys.stderr)
    def addError(self, test, err): results[test.id()] = "error"; print(test.id(), err[1], file=sys.stderr)
    def addSubTest(self, test, sub, err):
        if err: results[test.id()] = "failed"; print(sub.id(), err[1], file=sys.stderr)
    def addSkip(self, test, why): results[test.id()] = "skipped"
    def addExpectedFailure(self, test, err): results[test.id()] = "failed as expected"
if "FORK_KILLS" in os.environ:
    import test.test_subprocess
    del test.test_subprocess.POSIXProcessTestCase.test_preexec_fork_failure
suite = unittest.defaultTestLoader.loadTestsFromNames(sys.argv[1:])
suite.run(Result())
for test, result in results.items(): print(test, result, file=out)
`

// pythonTests are the classes of tests that are run. Left out is what starts interpreters by
// the dozen, or waits: it would take minutes in an emulated guest. Of test_os ForkTests,
// SpawnTests and the walks; of test_signal StressTest, SiginterruptTest, WakeupSignalTests and
// PendingSignalsTests; of test_subprocess all but RunFuncTestCase, POSIXProcessTestCase and
// MiscTests; of test_socket those of families that the kernel lacks.
var pythonTests = map[string]string{
	"test_os": `FileTests StatAttributeTests UtimeTests EnvironTests MakedirTests ChownFileTests RemoveDirsTests
		DevNullTests ExecTests TestInvalidFD LinkTests PosixUidGidTests PidTests ProgramPriorityTests TestSendfile
		ExtendedAttributeTests TermsizeTests MemfdCreateTests EventfdTests OSErrorTests CPUCountTests
		FDInheritanceTests BlockingTests PathTConverterTests TestScandir TestPEP519`,
	"test_signal": `PosixTests GenericTests WakeupFDTests WakeupSocketSignalTests ItimerTest RaiseSignalTest
		PidfdSignalTest`,
	"test_subprocess": `RunFuncTestCase POSIXProcessTestCase MiscTests`,
	"test_socket": `GeneralModuleTests BasicTCPTest BasicUDPTest BasicSocketPairTest NonBlockingTCPTests
		TCPCloserTest TCPTimeoutTest UDPTimeoutTest TestExceptions TestLinuxAbstractNamespace TestUnixDomain
		BufferIOTest NetworkConnectionNoServer NetworkConnectionAttributesTest ContextManagersTest InheritanceTest
		NonblockConstantTest SendmsgUDPTest SendmsgTCPTest SendmsgUnixStreamTest RecvmsgUnixStreamTest
		RecvmsgSCMRightsStreamTest RecvmsgIntoSCMRightsStreamTest SendfileUsingSendfileTest CreateServerTest
		SendRecvFdTests TestMSWindowsTCPFlags LinuxKernelCryptoAPI`,
}

// failedForkKills: the kernel has the bug that bpf/forks.h is about, and a jailed process is
// killed where its fork exceeds a limit. One of test_subprocess's tests does that.
func failedForkKills(t *testing.T) bool {
	t.Helper()
	const fork = `import os, resource
resource.setrlimit(resource.RLIMIT_NPROC, (0, 0))
try: os.fork()
except BlockingIOError: pass`
	runAsUser(t, "python3", "-S", "-c", fork).want(t, 0)
	return runAsUser(t, jailPath, "run", "--role", "permissive", "--", "python3", "-S", "-c", fork).status != 0
}

// TestPythonsOwnTestsGiveTheSameResults: Debian's package of Python's tests, jailed under
// permissive and not. Of these, self-protection makes none fail.
func TestPythonsOwnTestsGiveTheSameResults(t *testing.T) {
	load(t)
	kills := failedForkKills(t)
	if kills {
		t.Log("this kernel has jail kill who exceeds RLIMIT_NPROC: without test_preexec_fork_failure")
	}
	for module, classes := range pythonTests {
		for as, id := range map[string]uint32{"root": 0, "user": 1000} {
			if as == "root" && module != "test_os" && module != "test_signal" {
				continue // of root, what depends on who runs it
			}
			t.Run(module+"/"+as, func(t *testing.T) {
				argv := []string{"/usr/bin/python3", "-c", resultsOf}
				for class := range strings.FieldsSeq(classes) {
					argv = append(argv, "test."+module+"."+class)
				}
				results := func(argv ...string) (list []string, told string) {
					cmd := exec.Command(argv[0], argv[1:]...)
					cmd.Dir = t.TempDir()
					if err := os.Chmod(cmd.Dir, 0o777); err != nil {
						t.Fatal(err)
					}
					if err := os.Chmod(cmd.Dir+"/..", 0o777); err != nil {
						t.Fatal(err)
					}
					cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: id, Gid: id}}
					cmd.Env = append(os.Environ(), "HOME="+cmd.Dir)
					if kills {
						cmd.Env = append(cmd.Env, "FORK_KILLS=1")
					}
					r := runCommand(t, cmd)
					if r.status != 0 {
						t.Fatalf("%v: status %d: %s", argv[:4], r.status, r.stderr)
					}
					return strings.Split(strings.TrimSpace(r.stdout), "\n"), r.stderr
				}
				outside, _ := results(argv...)
				inside, told := results(append([]string{jailPath, "run", "--role", "permissive", "--"}, argv...)...)
				passed := 0
				for _, result := range outside {
					switch {
					case !slices.Contains(inside, result):
						t.Errorf("outside %s, not so inside", result)
					case strings.HasSuffix(result, " passed"):
						passed++
					}
				}
				t.Logf("%d of %d tests passed both times", passed, len(outside))
				if passed < len(outside)/2 {
					t.Errorf("too few for a proof: %v", outside)
				}
				if t.Failed() {
					t.Log(told)
				}
			})
		}
	}
}
