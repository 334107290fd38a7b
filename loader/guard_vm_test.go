//go:build vm

package loader

import (
	"os"
	"testing"

	"golang.org/x/sys/unix"

	"jail/profiles"
)

func TestReloadGuardsWhatWasReplacedMeanwhile(t *testing.T) {
	k := testKernel(t)
	config := attack{name: "S07_config", args: []string{"/etc/jail/roles.d/attack.toml"}}
	permissive, _ := profiles.Builtins().ByName("permissive")
	try := func() int { return config.run(t, "root", permissive.ID, config.args) }
	if got := try(); got != int(unix.EPERM) {
		t.Errorf("after load: %s, want EPERM", status(got))
	}
	if err := os.Rename("/etc/jail", "/etc/jail-before"); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll("/etc/jail/roles.d", 0o755); err != nil {
		t.Fatal(err)
	}
	if got := try(); got != 0 {
		t.Errorf("control: another directory in its place: %s, want ok", status(got))
	}
	if err := k.Reload(profiles.Builtins().Roles()); err != nil {
		t.Fatal(err)
	}
	if got := try(); got != int(unix.EPERM) {
		t.Errorf("after reload: %s, want EPERM", status(got))
	}
}
