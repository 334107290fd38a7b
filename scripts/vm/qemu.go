package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
)

// Debian 12's own QEMU 7.2 emulates cmpxchg16b wrongly with several processors: kernels crash.
const qemuMajor = 10

const (
	toolsSuite = "bookworm-backports"
	toolsName  = "tools-1" // to be counted up when the packages change
)

// tools are programs that run on the host or go into the guest, with their libraries, from Debian
// packages that are unpacked in the cache and not installed.
type tools struct{ dir string }

func getTools(c cache) (tools, error) {
	dir, err := c.once(toolsName, func(tmp string) error {
		a, err := newApt(filepath.Join(tmp, "apt"), "bookworm", toolsSuite)
		if err != nil {
			return err
		}
		if err := a.unpack(tmp, true, []string{"-t", toolsSuite}, "qemu-system-x86", "busybox-static"); err != nil {
			return err
		}
		return os.RemoveAll(a.dir)
	})
	if err != nil {
		return tools{}, fmt.Errorf("qemu and busybox: %w", err)
	}
	return tools{dir}, nil
}

func (t tools) busybox() string { return filepath.Join(t.dir, "bin", "busybox") }

// qemu returns the command that starts QEMU: the machine's own if it is new enough, else the
// cached one with the loader and libraries that came with it.
func (t tools) qemu() []string {
	if path, err := exec.LookPath("qemu-system-x86_64"); err == nil {
		if out, err := exec.Command(path, "--version").Output(); err == nil && qemuVersion(string(out)) >= qemuMajor {
			return []string{path}
		}
	}
	lib := func(dir string) string { return filepath.Join(t.dir, dir, "x86_64-linux-gnu") }
	return []string{
		filepath.Join(lib("lib"), "ld-linux-x86-64.so.2"), "--library-path", lib("lib") + ":" + lib("usr/lib"),
		filepath.Join(t.dir, "usr/bin/qemu-system-x86_64"),
		"-L", filepath.Join(t.dir, "usr/share/qemu"), "-L", filepath.Join(t.dir, "usr/share/seabios"),
	}
}

// qemuVersion returns the major version in "QEMU emulator version 10.0.2 (...)", 0 if there is none.
func qemuVersion(text string) int {
	_, after, _ := strings.Cut(text, "version ")
	major, _, _ := strings.Cut(after, ".")
	n, _ := strconv.Atoi(major)
	return n
}

// machine is what QEMU needs to know. The files take what the guest writes to them; QEMU never
// has to wait for a file, so nothing is reordered or lost when the machine ends.
type machine struct {
	kernel, initrd, cmdline string
	disk                    string // "" for none; never written
	console                 string // file; "" for the terminal
	output, result          string // files
	out, pause              string // files
	mem, cpus               int
	cpu                     string
	icount                  bool
}

// processor is QEMU's model of processor. Without counting instructions it lacks what programs
// use where they see it and emulation does slowly: copies byte by byte, vector registers, which every
// switch of tasks saves, a fifth level of page tables, and checks of every access by the kernel.
func processor(icount bool) string {
	if icount {
		return "max"
	}
	return "max,erms=off,fsrm=off,fsrs=off,fzrm=off,avx=off,avx2=off,f16c=off,fma=off,vaes=off,xsave=off,pku=off,la57=off,smap=off"
}

func (m machine) args() []string {
	args := []string{
		"-nodefaults", "-no-user-config", "-no-reboot", "-display", "none", "-vga", "none",
		"-machine", "pc", "-cpu", m.cpu, "-m", strconv.Itoa(m.mem), "-smp", strconv.Itoa(m.cpus),
		"-kernel", m.kernel, "-initrd", m.initrd, "-append", m.cmdline,
	}
	if m.icount {
		args = append(args, "-accel", "tcg", "-icount", "shift=0,align=off,sleep=off")
	} else {
		args = append(args, "-accel", "tcg,thread=multi")
	}
	if m.console == "" {
		args = append(args, "-chardev", "stdio,id=console,mux=on,signal=off", "-mon", "console")
	} else {
		args = append(args, "-chardev", "file,id=console,path="+escape(m.console))
	}
	args = append(args, "-serial", "chardev:console")
	// Without ioeventfd QEMU has written to the file when the guest's write returns, in this order.
	args = append(args, "-device", "virtio-serial-pci,ioeventfd=off")
	for _, port := range []struct {
		n    int
		file string
	}{{portOutput, m.output}, {portResult, m.result}, {portOut, m.out}, {portPause, m.pause}} {
		args = append(args,
			"-chardev", fmt.Sprintf("file,id=port%d,path=%s", port.n, escape(port.file)),
			"-device", fmt.Sprintf("virtserialport,chardev=port%d,nr=%d", port.n, port.n))
	}
	if m.disk != "" {
		args = append(args, "-drive", "file="+escape(m.disk)+",if=virtio,format=raw,snapshot=on")
	}
	return args
}

// escape writes a path for one of QEMU's comma-separated lists.
func escape(path string) string { return strings.ReplaceAll(path, ",", ",,") }
