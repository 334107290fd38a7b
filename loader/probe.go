package loader

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/btf"
	"golang.org/x/sys/unix"

	"jail/bpf"
)

const (
	bpffs     = "/sys/fs/bpf"
	lsmFile   = "/sys/kernel/security/lsm"
	btfFile   = "/sys/kernel/btf/vmlinux"
	oldestMin = 1
	oldestMaj = 6
)

// Prerequisite is one thing that the kernel part needs: what there is, what is
// wanted, and how to mend it.
type Prerequisite struct {
	Name string `json:"name"`
	OK   bool   `json:"ok"`
	Have string `json:"have"`
	Want string `json:"want"`
	Fix  string `json:"fix,omitempty"`
}

// Probe checks every prerequisite and reports all of them, good and bad. It changes
// nothing.
func Probe() []Prerequisite {
	return []Prerequisite{
		probeRoot(), probeKernel(), probeBTF(), probeLSM(), probeHooks(), probeBPFFS(), probeLoad(),
	}
}

// probeError joins what is wrong into one line, or returns nil.
func probeError(list []Prerequisite) error {
	for _, p := range list {
		if p.OK {
			continue
		}
		sentinel := ErrNotSupported
		if p.Name == "privilege" {
			sentinel = ErrNotRoot
		}
		return fmt.Errorf("%w: %s: have %s, want %s; %s", sentinel, p.Name, p.Have, p.Want, p.Fix)
	}
	return nil
}

func probeRoot() Prerequisite {
	p := Prerequisite{
		Name: "privilege", Have: fmt.Sprintf("uid %d", os.Geteuid()), Want: "root with CAP_SYS_ADMIN, CAP_BPF and CAP_PERFMON",
		Fix: "use sudo",
	}
	p.OK = os.Geteuid() == 0
	return p
}

func probeKernel() Prerequisite {
	p := Prerequisite{Name: "kernel", Want: fmt.Sprintf("%d.%d or later", oldestMaj, oldestMin), Fix: "boot a newer kernel"}
	var name unix.Utsname
	if err := unix.Uname(&name); err != nil {
		p.Have = err.Error()
		return p
	}
	p.Have = unix.ByteSliceToString(name.Release[:])
	var major, minor int
	if _, err := fmt.Sscanf(p.Have, "%d.%d", &major, &minor); err != nil {
		return p
	}
	p.OK = major > oldestMaj || major == oldestMaj && minor >= oldestMin
	return p
}

func probeBTF() Prerequisite {
	p := Prerequisite{Name: "btf", Have: btfFile, Want: btfFile, Fix: "boot a kernel built with CONFIG_DEBUG_INFO_BTF=y"}
	_, err := os.Stat(btfFile)
	p.OK = err == nil
	if err != nil {
		p.Have = errorText(err)
	}
	return p
}

func probeLSM() Prerequisite {
	p := Prerequisite{Name: "lsm", Want: "bpf among the active LSMs (" + lsmFile + ")"}
	data, err := os.ReadFile(lsmFile)
	if err != nil {
		p.Have = errorText(err)
		p.Fix = "mount -t securityfs securityfs /sys/kernel/security"
		return p
	}
	p.Have = strings.TrimSpace(string(data))
	p.OK = slices.Contains(strings.Split(p.Have, ","), "bpf")
	if !p.OK {
		p.Fix = fmt.Sprintf(`set GRUB_CMDLINE_LINUX="lsm=%s,bpf" in /etc/default/grub, run update-grub (or grub2-mkconfig -o /boot/grub2/grub.cfg), reboot`, p.Have)
	}
	return p
}

func probeHooks() Prerequisite {
	p := Prerequisite{Name: "hooks", Want: "every mandatory LSM hook", Fix: "boot a kernel built with CONFIG_BPF_LSM=y, 6.1 or later"}
	hooks, err := kernelHooks()
	if err != nil {
		p.Have = errorText(err)
		return p
	}
	missing := missingHooks(hooks)
	p.OK = len(missing) == 0
	p.Have = "all"
	if !p.OK {
		p.Have = "no " + strings.Join(missing, ", ")
	}
	return p
}

// mountNeeded mounts what a load reads and writes where nobody has done it yet.
func mountNeeded() error {
	for _, m := range []struct {
		fstype, dir, options string
		magic                uint32
	}{
		{"securityfs", "/sys/kernel/security", "", unix.SECURITYFS_MAGIC},
		{"bpf", bpffs, "mode=700", unix.BPF_FS_MAGIC},
	} {
		var st unix.Statfs_t
		if err := unix.Statfs(m.dir, &st); err != nil {
			return fmt.Errorf("%s: %w", m.dir, err)
		}
		if uint32(st.Type) == m.magic {
			continue
		}
		if err := unix.Mount(m.fstype, m.dir, m.fstype, unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, m.options); err != nil {
			return fmt.Errorf("mount %s on %s: %w", m.fstype, m.dir, err)
		}
	}
	return nil
}

func probeBPFFS() Prerequisite {
	p := Prerequisite{Name: "bpffs", Want: "a bpf file system on " + bpffs, Have: bpffs, Fix: "mount -t bpf bpf " + bpffs}
	var st unix.Statfs_t
	if err := unix.Statfs(bpffs, &st); err != nil {
		p.Have = errorText(err)
		return p
	}
	p.OK = uint32(st.Type) == unix.BPF_FS_MAGIC
	if !p.OK {
		p.Have = fmt.Sprintf("file system type %#x", uint32(st.Type))
	}
	return p
}

// probeLoad loads one LSM program: only the kernel knows whether it will.
func probeLoad() Prerequisite {
	p := Prerequisite{
		Name: "load", Want: "the kernel accepts an LSM program", Have: "accepted",
		Fix: "check lockdown (/sys/kernel/security/lockdown must not be confidentiality), kernel.unprivileged_bpf_disabled and container seccomp filters; load outside the container",
	}
	prog, err := ebpf.NewProgram(&ebpf.ProgramSpec{
		Type: ebpf.LSM, AttachType: ebpf.AttachLSMMac, AttachTo: "file_open", License: "Dual MIT/GPL",
		Instructions: asm.Instructions{asm.Mov.Imm(asm.R0, 0), asm.Return()},
	})
	if err != nil {
		p.Have = errorText(err)
		return p
	}
	_ = prog.Close()
	p.OK = true
	return p
}

// embedded is the programs that this one carries. Parsing them takes a good part of a second
// on a slow machine; who changes them takes a copy.
var embedded = sync.OnceValues(bpf.LoadJail)

// kernelHooks tells which hooks of ours this kernel lets programs attach to. It asks for
// each by name: reading all types of a kernel takes a good part of a second.
var kernelHooks = sync.OnceValues(func() (map[string]bool, error) {
	kernel, err := btf.LoadKernelSpec()
	if err != nil {
		return nil, err
	}
	ours, err := embedded()
	if err != nil {
		return nil, err
	}
	hooks := make(map[string]bool)
	for _, p := range ours.Programs {
		var fn *btf.Func
		if p.Type == ebpf.LSM && kernel.TypeByName("bpf_lsm_"+p.AttachTo, &fn) == nil {
			hooks[p.AttachTo] = true
		}
	}
	return hooks, nil
})

// errorText shortens an error to what the reader needs: the library blames MEMLOCK
// for every EPERM, which has not been the cause since 5.11.
func errorText(err error) string {
	switch {
	case errors.Is(err, unix.EPERM):
		return "operation not permitted"
	case errors.Is(err, os.ErrNotExist):
		return "not there"
	}
	return err.Error()
}
