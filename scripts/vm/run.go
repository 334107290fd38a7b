package main

import (
	"archive/zip"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"
)

// options is what the user asks of one virtual machine.
type options struct {
	kernel  kernelSpec
	root    bool
	systemd bool
	shell   bool
	// initramfs is a script that runs before the root is switched.
	initramfs string
	// image is an initramfs of a distribution: process 1 hands over to it.
	image   string
	in      bool       // the command is in the guest already
	files   []hostFile // to be copied into the guest
	env     []string   // K=V
	modules []string
	append  string // to the kernel's command line
	lsm     string
	mem     int
	cpus    int
	cpu     string // QEMU's model
	icount  bool
	timeout time.Duration // 0 for none
	out     string        // folder on the host for the guest's outPath
	verbose bool
	cmd     []string
}

type hostFile struct{ host, guest string }

// errGuestLost means that the guest ended, or was ended, without a result.
type errGuestLost struct{ why string }

func (e errGuestLost) Error() string { return "guest lost: " + e.why }

const (
	pollInterval = 10 * time.Millisecond
	pauseTime    = 5 * time.Second
)

// run boots a machine, runs the command in it and returns its exit status.
func run(ctx context.Context, c cache, o options) (status int, err error) {
	start := time.Now()
	t, err := getTools(c)
	if err != nil {
		return 0, err
	}
	k, err := getKernel(c, o.kernel)
	if err != nil {
		return 0, err
	}
	var disk string
	if o.root {
		if disk, err = getRootfs(c); err != nil {
			return 0, err
		}
	}
	tmp, err := os.MkdirTemp("", "vm-")
	if err != nil {
		return 0, err
	}
	defer os.RemoveAll(tmp)
	file := func(name string) string { return filepath.Join(tmp, name) }
	if err := writeInitramfs(file("initrd"), t, k, o); err != nil {
		return 0, fmt.Errorf("initramfs: %w", err)
	}
	m := machine{
		kernel: k.image(), initrd: file("initrd"), cmdline: commandLine(o), disk: disk,
		console: file("console"), output: file("output"), result: file("result"), out: file("out.zip"),
		pause: file("pause"),
		mem:   o.mem, cpus: o.cpus, cpu: o.cpu, icount: o.icount,
	}
	if o.shell {
		m.console = ""
		defer saveTerminal()()
	}
	booted := time.Now()
	r, err := boot(ctx, o, tmp, t.qemu(), m)
	if err != nil {
		return 0, err
	}
	if o.verbose {
		notef("%s: command started %.2f s after the kernel; prepared in %.2f s, ran for %.2f s", k.release,
			r.Uptime, booted.Sub(start).Seconds(), time.Since(booted).Seconds())
	}
	warnTaint(r.Taint)
	if r.Error != "" {
		if r.Status == 0 {
			return 0, fmt.Errorf("guest: %s", r.Error)
		}
		notef("guest: %s", r.Error)
	}
	if o.out != "" {
		if err := unpackOut(file("out.zip"), o.out); err != nil {
			return 0, err
		}
	}
	return r.Status, nil
}

// boot starts QEMU, copies what the guest prints, and ends it when the result is there.
func boot(ctx context.Context, o options, tmp string, qemu []string, m machine) (guestResult, error) {
	if o.timeout > 0 {
		var cancel func()
		ctx, cancel = context.WithTimeoutCause(ctx, o.timeout, fmt.Errorf("timeout after %v (see -timeout)", o.timeout))
		defer cancel()
	}
	// QEMU shall not outlive this process. The signal comes at the end of the thread that started it.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	argv := append(qemu, m.args()...)
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Env = append(os.Environ(), "TMPDIR="+tmp) // for what snapshot=on writes
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) } // it resets the terminal
	cmd.WaitDelay = 3 * time.Second
	var messages bytes.Buffer
	cmd.Stderr = &messages
	if o.shell {
		cmd.Stdin, cmd.Stdout = os.Stdin, os.Stdout
	}
	if err := cmd.Start(); err != nil {
		return guestResult{}, err
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()

	output := &tail{path: m.output, w: os.Stdout}
	console := &tail{path: m.console, w: &consoleWriter{w: os.Stderr}}
	var line bytes.Buffer
	result := &tail{path: m.result, w: &line}
	pauses := &tail{path: m.pause, w: pauser{cmd.Process}}
	for running := true; running; {
		var waitErr error
		select {
		case waitErr = <-ended:
			running = false
		case <-time.After(pollInterval):
		}
		// The guest writes its result last: read it first.
		for _, t := range []*tail{result, console, output, pauses} {
			if err := t.copy(); err != nil {
				_ = cmd.Cancel()
				<-ended
				return guestResult{}, err
			}
		}
		if text := line.Bytes(); bytes.HasSuffix(text, []byte("\n")) {
			if running {
				_ = cmd.Cancel()
				<-ended
			}
			var r guestResult
			return r, json.Unmarshal(text, &r)
		}
		if !running {
			return guestResult{}, whyLost(ctx, waitErr, console, messages.String())
		}
	}
	panic("unreachable")
}

func whyLost(ctx context.Context, waitErr error, console *tail, messages string) error {
	switch {
	case ctx.Err() != nil:
		return errGuestLost{context.Cause(ctx).Error()}
	case waitErr != nil:
		return fmt.Errorf("qemu: %w\n%s", waitErr, strings.TrimSpace(messages))
	case console.w.(*consoleWriter).panicked:
		return errGuestLost{"its kernel panicked (see the messages above)"}
	}
	return errGuestLost{"it ended before the command did (power-off, reboot or triple fault)"}
}

// pauser stops the machine for a while for each byte, as when its host is suspended.
type pauser struct{ qemu *os.Process }

func (p pauser) Write(bytes []byte) (int, error) {
	for range bytes {
		if err := p.qemu.Signal(syscall.SIGSTOP); err != nil {
			return 0, err
		}
		time.Sleep(pauseTime)
		if err := p.qemu.Signal(syscall.SIGCONT); err != nil {
			return 0, err
		}
	}
	return len(bytes), nil
}

// tail copies what is appended to a file.
type tail struct {
	path   string
	w      io.Writer
	offset int64
}

func (t *tail) copy() error {
	if t.path == "" {
		return nil
	}
	f, err := os.Open(t.path)
	if errors.Is(err, os.ErrNotExist) { // QEMU has not made it yet
		return nil
	}
	if err != nil {
		return err
	}
	defer f.Close()
	if _, err := f.Seek(t.offset, io.SeekStart); err != nil {
		return err
	}
	n, err := io.Copy(t.w, f)
	t.offset += n
	return err
}

// consoleWriter shows the kernel's console: without carriage returns, and noting a panic.
type consoleWriter struct {
	w        io.Writer
	last     []byte // end of what was written, for a text cut in two
	panicked bool
}

func (c *consoleWriter) Write(p []byte) (int, error) {
	text := bytes.ReplaceAll(p, []byte("\r"), nil)
	c.last = append(c.last, text...)
	c.panicked = c.panicked || bytes.Contains(c.last, []byte("Kernel panic"))
	c.last = c.last[max(0, len(c.last)-20):]
	if _, err := c.w.Write(text); err != nil {
		return 0, err
	}
	return len(p), nil
}

// warnTaint tells of a kernel that stumbled: bits of /proc/sys/kernel/tainted.
func warnTaint(taint uint64) {
	for bit, text := range map[uint]string{
		5: "bad page", 7: "oops", 9: "warning (WARN)", 14: "soft lockup",
	} {
		if taint&(1<<bit) != 0 {
			notef("warning: the guest's kernel had a %s: look at its dmesg, or use -append loglevel=7", text)
		}
	}
}

func commandLine(o options) string {
	line := "console=ttyS0 quiet loglevel=3 panic=-1 oops=panic lsm=" + o.lsm
	if !o.icount {
		// A busy host's clocks seem to disagree. Without its TSC a guest asks the emulated HPET for the
		// time, by a system call each time.
		line += " tsc=reliable mitigations=off"
	}
	if o.systemd {
		line += " systemd.show_status=no"
	}
	if o.image != "" {
		line += " rdinit=" + initPath + " root=" + diskPath + " rootfstype=ext4 rw"
	}
	if o.append != "" {
		line += " " + o.append
	}
	return line
}

// writeInitramfs packs this program as /init, its configuration, modules and the files asked for.
func writeInitramfs(file string, t tools, k kernel, o options) error {
	f, err := os.Create(file)
	if err != nil {
		return err
	}
	defer f.Close()
	w := newCpio(f)
	if err := fillInitramfs(w, t, k, o); err != nil {
		return err
	}
	if err := w.close(); err != nil {
		return err
	}
	if o.image != "" { // the kernel unpacks one archive after the other
		image, err := os.Open(o.image)
		if err != nil {
			return err
		}
		defer image.Close()
		if _, err := io.Copy(f, image); err != nil {
			return err
		}
	}
	return f.Close()
}

func fillInitramfs(w *cpioWriter, t tools, k kernel, o options) error {
	self := "init"
	if o.image != "" {
		self = initPath // it has an /init
	}
	if err := addSelf(w, self); err != nil {
		return err
	}

	modules := append([]string{"virtio_pci", "virtio_console"}, o.modules...)
	if o.root {
		modules = append(modules, "virtio_blk")
	}
	paths, err := k.modules(modules)
	if err != nil {
		return err
	}
	for i, path := range paths {
		image, err := readModule(path)
		if err != nil {
			return err
		}
		if err := w.bytes(fmt.Sprintf("%s/%03d-%s", modulesPath, i, moduleName(path)), 0o644, string(image)); err != nil {
			return err
		}
	}

	config := guestConfig{
		Cmd: o.cmd, Env: o.env, Root: o.root, Systemd: o.systemd,
		Out: o.out != "", Shell: o.shell, Initramfs: o.initramfs != "", Image: o.image != "",
	}
	if o.shell {
		config.Term, config.Size = os.Getenv("TERM"), terminalSize()
	}
	// Files of the guest's root file system go there by way of the overlay.
	top := "/"
	if o.root {
		top = overlayPath
	}
	if !o.in {
		name := path.Join(workPath, filepath.Base(o.cmd[0]))
		config.Cmd = append([]string{name}, o.cmd[1:]...)
		if err := w.tree(o.cmd[0], top+name); err != nil {
			return err
		}
	}
	for _, file := range o.files {
		if err := w.tree(file.host, path.Join(top, file.guest)); err != nil {
			return err
		}
	}
	if err := w.dir(top+outPath, 0o777); err != nil {
		return err
	}
	text, err := json.Marshal(config)
	if err != nil {
		return err
	}
	if err := w.bytes(configPath, 0o644, string(text)); err != nil {
		return err
	}
	if o.systemd {
		if err := w.bytes(top+configPath, 0o644, string(text)); err != nil {
			return err
		}
		if err := addSelf(w, top+initPath); err != nil {
			return err
		}
	}
	if o.initramfs != "" {
		if err := w.tree(o.initramfs, scriptPath); err != nil {
			return err
		}
	}
	if o.image != "" || o.root && o.initramfs == "" {
		return nil
	}
	return fillBusybox(w, t)
}

// addSelf adds this very program, even if its file was replaced since it started.
func addSelf(w *cpioWriter, name string) error {
	f, err := os.Open("/proc/self/exe")
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	return w.data(name, cpioFile|0o755, info.Size(), f)
}

// fillBusybox adds a small system: busybox under all its names, a normal user.
func fillBusybox(w *cpioWriter, t tools) error {
	if err := w.tree(t.busybox(), "bin/busybox"); err != nil {
		return err
	}
	list, err := output(exec.Command(t.busybox(), "--list-full"))
	if err != nil {
		return err
	}
	for _, name := range strings.Fields(string(list)) {
		if name == "bin/busybox" {
			continue
		}
		if err := w.symlink(name, "/bin/busybox"); err != nil {
			return err
		}
	}
	for name, text := range map[string]string{
		"etc/passwd": "root:x:0:0:root:/root:/bin/sh\nuser:x:1000:1000:user:/home/user:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n",
		"etc/group":  "root:x:0:\ntty:x:5:\nuser:x:1000:\nnogroup:x:65534:\n",
		"etc/hosts":  "127.0.0.1 localhost vm\n::1 localhost\n",
	} {
		if err := w.bytes(name, 0o644, text); err != nil {
			return err
		}
	}
	return w.dir("home/user", 0o777) // the archive knows only root as owner
}

// unpackOut unpacks the guest's folder outPath.
func unpackOut(archive, dir string) error {
	r, err := zip.OpenReader(archive)
	if err != nil {
		return fmt.Errorf("%s from the guest: %w", outPath, err)
	}
	defer r.Close()
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	root, err := os.OpenRoot(dir) // nothing in the archive leads out of it
	if err != nil {
		return err
	}
	defer root.Close()
	for _, f := range r.File {
		if f.Mode().IsDir() {
			err = root.MkdirAll(strings.TrimSuffix(f.Name, "/"), 0o755)
		} else {
			err = writeIn(root, f)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func writeIn(root *os.Root, f *zip.File) error {
	if err := root.MkdirAll(path.Dir(f.Name), 0o755); err != nil {
		return err
	}
	r, err := f.Open()
	if err != nil {
		return err
	}
	defer r.Close()
	w, err := root.Create(f.Name)
	if err != nil {
		return err
	}
	if _, err := io.Copy(w, r); err != nil {
		return errors.Join(err, w.Close())
	}
	return w.Close()
}
