package main

// This file runs inside the virtual machine: the program puts a copy of itself into the initramfs
// as /init, where it finds that it is process 1.

import (
	"archive/zip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"
	"unsafe"

	"github.com/moby/sys/mountinfo"
)

// guestConfig is what the host tells the guest, in the initramfs at configPath.
type guestConfig struct {
	Cmd     []string
	Env     []string
	Root    bool // switch to the file system on the disk
	Systemd bool // and let systemd run there
	// Initramfs: run scriptPath before the switch.
	Initramfs bool
	Image     bool // let the initramfs that came along switch
	Out       bool // send outPath at the end
	Shell     bool // on the console, with job control
	Term      string
	Size      winsize
}

// guestResult is what the guest tells the host at the end, as one line of JSON.
type guestResult struct {
	Status int     // as a shell would give it: the exit status, or 128 + the signal's number
	Error  string  // why the command did not run
	Taint  uint64  // /proc/sys/kernel/tainted
	Uptime float64 // seconds from the start of the kernel to the start of the command
}

// Places in the guest. Everything of ours is below /vm, also with -root.
const (
	configPath  = "/vm/.config.json"
	modulesPath = "/vm/.modules"
	initPath    = "/vm/.init"   // this program, for systemd
	scriptPath  = "/vm/.script" // of the initramfs
	overlayPath = "/overlay"    // goes onto the root file system
	workPath    = "/vm"         // working folder of the command, and where it is
	outPath     = "/vm/out"     // comes back to the host with -out
	diskPath    = "/dev/vda"    // has the root file system
	rootPath    = "/newroot"    // where it is before the switch
)

// Ports of the virtio serial device.
const (
	portOutput = 1
	portResult = 2
	portOut    = 3
	portPause  = 4 // each byte stops the machine for pauseTime
)

// Exit statuses of commands that cannot run, as in a shell.
const (
	statusCannotRun = 126
	statusNotFound  = 127
)

type winsize struct{ Rows, Cols, X, Y uint16 }

// guestMain is process 1. It never returns: the host ends the machine when it has the result.
func guestMain() {
	runtime.LockOSThread()
	if err := guestBoot(); err != nil {
		// Nowhere else to say it: the host shows the console and misses the result.
		fmt.Fprintln(os.Stderr, "vm: guest:", err)
		time.Sleep(100 * time.Millisecond) // for the serial line
		_ = syscall.Reboot(syscall.LINUX_REBOOT_CMD_POWER_OFF)
	}
	pause()
}

// pause waits for the host to end the machine. (An empty select is a deadlock to Go's runtime.)
func pause() {
	for {
		time.Sleep(time.Hour)
	}
}

func guestBoot() error {
	if err := mountAll([]fsMount{
		{"devtmpfs", "/dev", ""}, {"proc", "/proc", ""}, {"sysfs", "/sys", ""},
	}); err != nil {
		return err
	}
	var config guestConfig
	if err := readJSON(configPath, &config); err != nil {
		return err
	}
	if err := loadModules(); err != nil {
		return err
	}
	if config.Image {
		return startImage()
	}
	if config.Root {
		if err := switchRoot(config.Initramfs); err != nil {
			return err
		}
	}
	if err := mountAll([]fsMount{
		{"devpts", "/dev/pts", "mode=620,gid=5,ptmxmode=666"},
		{"tmpfs", "/dev/shm", "mode=1777"},
		{"tmpfs", "/run", "mode=755"},
		{"tmpfs", "/tmp", "mode=1777"},
		{"cgroup2", "/sys/fs/cgroup", ""},
		{"securityfs", "/sys/kernel/security", ""},
		{"bpf", "/sys/fs/bpf", "mode=700"},
		{"tracefs", "/sys/kernel/tracing", ""},
	}); err != nil {
		return err
	}
	if config.Systemd {
		return startSystemd()
	}
	// devtmpfs has the kernel's devices only.
	for name, target := range map[string]string{"fd": "", "stdin": "/0", "stdout": "/1", "stderr": "/2"} {
		if err := os.Symlink("/proc/self/fd"+target, "/dev/"+name); err != nil {
			return err
		}
	}
	if err := syscall.Sethostname([]byte("vm")); err != nil {
		return err
	}
	if err := loopbackUp(); err != nil {
		return err
	}
	return guestRun(config)
}

type fsMount struct{ fstype, dir, options string }

func mountAll(mounts []fsMount) error {
	for _, m := range mounts {
		if err := os.MkdirAll(m.dir, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
			// /sys has the kernel's folders only
			return err
		}
		if isMounted(m) { // by the script of the initramfs
			continue
		}
		if err := syscall.Mount(m.fstype, m.dir, m.fstype, 0, m.options); err != nil && !errors.Is(err, syscall.EBUSY) {
			return fmt.Errorf("mount %s on %s: %w", m.fstype, m.dir, err)
		}
	}
	return nil
}

// isMounted tells whether there is such a file system already; a second one would hide it.
func isMounted(m fsMount) bool {
	found, err := mountinfo.GetMounts(func(i *mountinfo.Info) (skip, stop bool) {
		same := i.Mountpoint == m.dir && i.FSType == m.fstype
		return !same, same
	})
	return err == nil && len(found) > 0
}

func readJSON(path string, v any) error {
	data, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	return json.Unmarshal(data, v)
}

// loadModules loads what the host put into modulesPath, in the order of the names.
func loadModules() error {
	files, err := filepath.Glob(modulesPath + "/*")
	if err != nil {
		return err
	}
	for _, path := range files {
		if err := loadModule(path); err != nil && !errors.Is(err, syscall.EEXIST) {
			return fmt.Errorf("load module %s: %w", filepath.Base(path), err)
		}
	}
	return nil
}

func loadModule(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	const finitModule = 313 // x86-64; not in package syscall
	params := [1]byte{}
	if _, _, errno := syscall.Syscall(finitModule, f.Fd(), uintptr(unsafe.Pointer(&params)), 0); errno != 0 {
		return errno
	}
	return nil
}

// mountRoot mounts the disk at rootPath, copies the overlay onto it and frees the initramfs.
func mountRoot() error {
	if err := os.Mkdir(rootPath, 0o755); err != nil {
		return err
	}
	if err := waitFor(diskPath); err != nil {
		return err
	}
	if err := syscall.Mount(diskPath, rootPath, "ext4", 0, ""); err != nil {
		return fmt.Errorf("mount %s: %w", diskPath, err)
	}
	if err := copyTree(overlayPath, rootPath); err != nil {
		return err
	}
	for _, dir := range []string{overlayPath, modulesPath} {
		if err := os.RemoveAll(dir); err != nil {
			return err
		}
	}
	return nil
}

// startImage readies the disk and becomes the /init of the initramfs that came along, which
// finds the machine as the kernel left it, but for loaded modules.
func startImage() error {
	if err := mountRoot(); err != nil {
		return err
	}
	if err := writeUnit(rootPath + "/etc/systemd/system"); err != nil {
		return err
	}
	for _, dir := range []string{rootPath, "/dev", "/proc", "/sys"} {
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			return fmt.Errorf("unmount %s: %w", dir, err)
		}
	}
	if err := os.Remove(rootPath); err != nil {
		return err
	}
	return fmt.Errorf("exec /init: %w", syscall.Exec("/init", []string{"/init"}, []string{"HOME=/", "TERM=linux"}))
}

// switchRoot makes the disk the root.
func switchRoot(initramfs bool) error {
	if err := mountRoot(); err != nil {
		return err
	}
	moved := []string{"/dev", "/proc", "/sys"}
	if initramfs {
		moved = append(moved, "/run")
		if err := runInitramfs(rootPath); err != nil {
			return err
		}
	}
	for _, dir := range moved {
		if err := syscall.Mount(dir, rootPath+dir, "", syscall.MS_MOVE, ""); err != nil {
			return fmt.Errorf("move %s: %w", dir, err)
		}
	}
	if err := os.Chdir(rootPath); err != nil {
		return err
	}
	if err := syscall.Mount(".", "/", "", syscall.MS_MOVE, ""); err != nil {
		return fmt.Errorf("move the root: %w", err)
	}
	if err := syscall.Chroot("."); err != nil {
		return err
	}
	return os.Chdir("/")
}

// runInitramfs runs the script as initramfs-tools runs those of init-bottom.
func runInitramfs(root string) error {
	if err := mountAll([]fsMount{{"tmpfs", "/run", "mode=755"}}); err != nil {
		return err
	}
	cmd := exec.Command("/bin/sh", scriptPath)
	cmd.Env = []string{"PATH=/sbin:/usr/sbin:/bin:/usr/bin", "rootmnt=" + root}
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("the script of the initramfs: %w", err)
	}
	return nil
}

// waitFor waits until a device is there; drivers make it some time after they were loaded.
func waitFor(path string) error {
	for range 1000 {
		if exists(path) {
			return nil
		}
		time.Sleep(5 * time.Millisecond)
	}
	return fmt.Errorf("%s did not appear: is the driver loaded?", path)
}

// copyTree copies folders, files and symbolic links, with their modes, onto what is there.
func copyTree(from, to string) error {
	return filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, _ := filepath.Rel(from, path)
		target := filepath.Join(to, rel)
		info, err := d.Info()
		if err != nil {
			return err
		}
		switch {
		case d.IsDir():
			if err := os.Mkdir(target, 0o700); errors.Is(err, fs.ErrExist) {
				return nil
			} else if err != nil {
				return err
			}
			return os.Chmod(target, info.Mode())
		case d.Type() == fs.ModeSymlink:
			link, err := os.Readlink(path)
			if err != nil {
				return err
			}
			_ = os.Remove(target)
			return os.Symlink(link, target)
		}
		_ = os.Remove(target)
		return copyFile(path, target, info.Mode())
	})
}

func copyFile(from, to string, mode fs.FileMode) error {
	r, err := os.Open(from)
	if err != nil {
		return err
	}
	defer r.Close()
	w, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	if _, err := io.Copy(w, r); err != nil {
		return err
	}
	if err := w.Chmod(mode); err != nil {
		return err
	}
	return w.Close()
}

func loopbackUp() error {
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_DGRAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer syscall.Close(fd)
	ifreq := struct {
		name  [16]byte
		flags uint16
		_     [22]byte
	}{flags: syscall.IFF_UP | syscall.IFF_RUNNING}
	copy(ifreq.name[:], "lo")
	return ioctl(uintptr(fd), syscall.SIOCSIFFLAGS, unsafe.Pointer(&ifreq))
}

func ioctl(fd, request uintptr, arg unsafe.Pointer) error {
	if _, _, errno := syscall.Syscall(syscall.SYS_IOCTL, fd, request, uintptr(arg)); errno != 0 {
		return errno
	}
	return nil
}

// writeUnit writes the unit that is the command, for a systemd that has not started yet.
func writeUnit(dir string) error {
	const unit = `[Unit]
Description=The command of this virtual machine
[Service]
ExecStart=` + initPath + ` guest-run
StandardOutput=tty
StandardError=tty
TTYPath=/dev/console
IgnoreSIGPIPE=no
`
	if err := os.MkdirAll(dir+"/multi-user.target.wants", 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(dir+"/vm.service", []byte(unit), 0o644); err != nil {
		return err
	}
	return os.Symlink("../vm.service", dir+"/multi-user.target.wants/vm.service")
}

// startSystemd replaces process 1 by systemd, which starts this program again as a unit.
func startSystemd() error {
	if err := writeUnit("/run/systemd/system"); err != nil {
		return err
	}
	return fmt.Errorf("exec /sbin/init: %w", syscall.Exec("/sbin/init", []string{"/sbin/init"}, []string{"TERM=dumb"}))
}

// guestUnit is the command of the unit that startSystemd wrote.
func guestUnit() error {
	var config guestConfig
	if err := readJSON(configPath, &config); err != nil {
		return err
	}
	// Prints "running", or "degraded" and fails; the command may look for itself.
	_ = exec.Command("systemctl", "is-system-running", "--wait").Run()
	if err := guestRun(config); err != nil {
		return err
	}
	pause()
	return nil
}

// guestRun runs the command and sends what it prints, the folder outPath and the result.
func guestRun(config guestConfig) error {
	result, err := openPort(portResult)
	if err != nil {
		return err
	}
	var r guestResult
	r.Uptime = uptime()
	if config.Shell {
		r.Status, err = runShell(config)
	} else {
		r.Status, err = runCommand(config)
	}
	if err == nil && config.Out {
		err = sendOut()
	}
	if err != nil {
		r.Error = err.Error()
	}
	if text, err := os.ReadFile("/proc/sys/kernel/tainted"); err == nil {
		_, _ = fmt.Sscan(string(text), &r.Taint)
	}
	line, err := json.Marshal(r)
	if err != nil {
		return err
	}
	_, err = result.Write(append(line, '\n'))
	return err
}

func uptime() (seconds float64) {
	if text, err := os.ReadFile("/proc/uptime"); err == nil {
		_, _ = fmt.Sscan(string(text), &seconds)
	}
	return seconds
}

func openPort(n int) (*os.File, error) {
	path := fmt.Sprintf("/dev/vport0p%d", n)
	if err := waitFor(path); err != nil {
		return nil, err
	}
	return os.OpenFile(path, os.O_WRONLY, 0)
}

// runCommand runs the command with its output in a pipe, since a port can be opened only once:
// so /dev/stdout works as usual.
func runCommand(config guestConfig) (int, error) {
	port, err := openPort(portOutput)
	if err != nil {
		return 0, err
	}
	defer port.Close()
	null, err := os.Open(os.DevNull)
	if err != nil {
		return 0, err
	}
	r, w, err := os.Pipe()
	if err != nil {
		return 0, err
	}
	copied := make(chan error)
	go func() {
		_, err := io.Copy(port, r)
		copied <- err
	}()
	status, err := spawn(config, &os.ProcAttr{Files: []*os.File{null, w, w}, Sys: &syscall.SysProcAttr{Setsid: true}})
	w.Close()

	// Whoever the command left behind may hold the pipe open for ever: stop waiting for its end,
	// and send what is in it now.
	if err := r.SetReadDeadline(time.Now()); err != nil {
		return 0, err
	}
	if err := <-copied; err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
		return 0, fmt.Errorf("send output: %w", err)
	}
	if drainErr := drain(port, r); drainErr != nil {
		return 0, fmt.Errorf("send output: %w", drainErr)
	}
	return status, err
}

// drain copies what a pipe holds at this moment, at most its usual capacity.
func drain(w io.Writer, r *os.File) error {
	conn, err := r.SyscallConn()
	if err != nil {
		return err
	}
	buf := make([]byte, 64<<10)
	for total := 0; total < len(buf); {
		var n int
		if err := conn.Control(func(fd uintptr) { n, _ = syscall.Read(int(fd), buf) }); err != nil {
			return err
		}
		if n <= 0 { // empty, or at its end
			return nil
		}
		if _, err := w.Write(buf[:n]); err != nil {
			return err
		}
		total += n
	}
	return nil
}

// runShell runs the command on the console as its controlling terminal.
func runShell(config guestConfig) (int, error) {
	tty, err := os.OpenFile("/dev/ttyS0", os.O_RDWR, 0)
	if err != nil {
		return 0, err
	}
	config.Env = append(config.Env, "TERM="+config.Term)
	if config.Size.Rows > 0 {
		if err := ioctl(tty.Fd(), syscall.TIOCSWINSZ, unsafe.Pointer(&config.Size)); err != nil {
			return 0, fmt.Errorf("terminal size: %w", err)
		}
	}
	return spawn(config, &os.ProcAttr{Files: []*os.File{tty, tty, tty}, Sys: &syscall.SysProcAttr{Setsid: true, Setctty: true}})
}

// spawn runs the command to its end. As process 1 it also buries orphans.
func spawn(config guestConfig, attr *os.ProcAttr) (int, error) {
	os.Clearenv()
	attr.Dir = workPath
	attr.Env = append([]string{
		"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
		"HOME=/root", "USER=root", "LOGNAME=root", "SHELL=/bin/sh", "LANG=C.UTF-8",
	}, config.Env...)
	for _, kv := range attr.Env {
		k, v, _ := strings.Cut(kv, "=")
		os.Setenv(k, v) // for LookPath
	}
	path, err := exec.LookPath(config.Cmd[0])
	if errors.Is(err, fs.ErrPermission) {
		return statusCannotRun, err
	}
	if err != nil {
		return statusNotFound, err
	}
	p, err := os.StartProcess(path, config.Cmd, attr)
	if err != nil {
		return statusCannotRun, err
	}
	for {
		var ws syscall.WaitStatus
		pid, err := syscall.Wait4(-1, &ws, 0, nil)
		switch {
		case err != nil && !errors.Is(err, syscall.EINTR):
			return 0, fmt.Errorf("wait: %w", err)
		case pid != p.Pid:
		case ws.Signaled():
			return 128 + int(ws.Signal()), nil
		default:
			return ws.ExitStatus(), nil
		}
	}
}

// sendOut sends outPath as a zip archive: unlike tar, its package keeps this program static.
func sendOut() error {
	port, err := openPort(portOut)
	if err != nil {
		return err
	}
	defer port.Close()
	w := zip.NewWriter(port)
	if err := w.AddFS(os.DirFS(outPath)); err != nil {
		return fmt.Errorf("send %s: %w", outPath, err)
	}
	return w.Close()
}
