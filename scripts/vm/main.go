// Command vm runs a program in a throwaway virtual machine with a kernel of its choice: the
// development machine's own kernel refuses BPF LSM programs. See scripts/README.md.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"jail/scripts"
)

const usage = `usage: vm kernels [-rootfs] [NAME...]   fill the cache: kernels (all), QEMU and the root file system
       vm run [FLAG...] -- CMD [ARG...]   boot, run CMD (a file of the host) as root, return its exit status
       vm shell [FLAG...] [-- CMD...]     boot with a shell on this terminal (end QEMU: Ctrl-a x)
'vm run -help' lists the flags.
`

// Exit statuses besides those of the command.
const (
	statusUsage = 2
	statusLost  = 97  // the guest gave no result: panic, power-off, timeout
	statusSelf  = 125 // vm itself failed
)

func main() {
	if os.Getpid() == 1 {
		guestMain()
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	status, err := command(ctx, os.Args[1:])
	stop()
	var lost errGuestLost
	var use usageError
	switch {
	case errors.As(err, &use):
		fmt.Fprintf(os.Stderr, "vm: error: %v\n%s", err, usage)
		status = statusUsage
	case errors.Is(err, flag.ErrHelp):
	case errors.As(err, &lost):
		notef("error: %v", err)
		status = statusLost
	case err != nil:
		notef("error: %v", err)
		status = statusSelf
	}
	os.Exit(status)
}

type usageError struct{ error }

// notef prints a message of ours, apart from the guest's output.
func notef(format string, args ...any) {
	fmt.Fprintf(os.Stderr, "vm: "+format+"\n", args...)
}

func command(ctx context.Context, args []string) (status int, err error) {
	if len(args) == 0 {
		return 0, usageError{errors.New("no command")}
	}
	specs, err := parseKernels(scripts.Kernels)
	if err != nil {
		return 0, err
	}
	switch args[0] {
	case "guest-run":
		return 0, guestUnit()
	case "help", "-h", "-help", "--help":
		fmt.Print(usage)
		return 0, nil
	case "kernels":
		return 0, fillCache(specs, args[1:])
	case "run", "shell":
		o, err := parseOptions(specs, args[0], args[1:])
		if err != nil {
			return 0, err
		}
		c, err := openCache()
		if err != nil {
			return 0, err
		}
		signal.Ignore(syscall.SIGPIPE) // a reader that went away is an error, after which we clean up
		return run(ctx, c, o)
	}
	return 0, usageError{fmt.Errorf("unknown command %q", args[0])}
}

// fillCache fetches what later runs need, so that they work without a network.
func fillCache(specs []kernelSpec, args []string) error {
	flags := flag.NewFlagSet("vm kernels", flag.ContinueOnError)
	rootfs := flags.Bool("rootfs", false, "also build the root file system of run -root")
	if err := flags.Parse(args); err != nil {
		return flagError(err)
	}
	if names := flags.Args(); len(names) > 0 {
		var wanted []kernelSpec
		for _, name := range names {
			spec, err := findKernel(specs, name)
			if err != nil {
				return usageError{err}
			}
			wanted = append(wanted, spec)
		}
		specs = wanted
	}
	c, err := openCache()
	if err != nil {
		return err
	}
	if _, err := getTools(c); err != nil {
		return err
	}
	for _, spec := range specs {
		k, err := getKernel(c, spec)
		if err != nil {
			return err
		}
		fmt.Printf("%-8s %s\n", spec.name, k.release)
	}
	if *rootfs {
		image, err := getRootfs(c)
		if err != nil {
			return err
		}
		fmt.Printf("%-8s %s\n", "rootfs", image)
	}
	return nil
}

// parseOptions reads the flags of run and shell.
func parseOptions(specs []kernelSpec, name string, args []string) (options, error) {
	var o options
	var kernelName, modules string
	flags := flag.NewFlagSet("vm "+name, flag.ContinueOnError)
	flags.StringVar(&kernelName, "kernel", "6.18", "`NAME` of a kernel in scripts/kernels.txt")
	flags.BoolVar(&o.root, "root", false, "run in a Debian root file system instead of busybox's")
	flags.BoolVar(&o.systemd, "systemd", false, "boot systemd there first (means -root)")
	flags.StringVar(&o.initramfs, "initramfs", "", "run the host's script `FILE` before the root is switched, as an initramfs does (means -root)")
	flags.StringVar(&o.image, "image", "", "boot the initramfs image `FILE` of a distribution, which switches to the root (means -systemd)")
	flags.BoolVar(&o.in, "in", false, "CMD is in the guest: a path, or a name looked up in PATH")
	flags.Func("file", "copy a file or folder into the guest: `HOST=GUEST`; may be repeated", func(s string) error {
		host, guest, ok := strings.Cut(s, "=")
		if !ok || host == "" || !strings.HasPrefix(guest, "/") {
			return errors.New("want HOST=GUEST, and GUEST beginning with /")
		}
		o.files = append(o.files, hostFile{host, guest})
		return nil
	})
	flags.Func("env", "set a variable for CMD: `K=V`; may be repeated", func(s string) error {
		if k, _, ok := strings.Cut(s, "="); !ok || k == "" {
			return errors.New("want K=V")
		}
		o.env = append(o.env, s)
		return nil
	})
	flags.StringVar(&modules, "modules", "", "load kernel modules: `A,B,...`, with what they need")
	flags.StringVar(&o.append, "append", "", "more `TEXT` for the kernel's command line")
	flags.StringVar(&o.lsm, "lsm", "lockdown,capability,landlock,yama,apparmor,bpf", "the kernel's `LIST` of security modules")
	flags.IntVar(&o.mem, "mem", 1500, "memory in `MB`")
	flags.IntVar(&o.cpus, "cpus", 2, "`number` of processors")
	flags.StringVar(&o.cpu, "cpu", "", "QEMU's `MODEL` of processor, such as max,cx16=off; default: max without what is slow to emulate")
	flags.BoolVar(&o.icount, "icount", false, "count instructions: one is one nanosecond of guest time (means -cpus 1)")
	flags.DurationVar(&o.timeout, "timeout", 5*time.Minute, "end the guest after `DURATION`; 0 for never (shell: ignored)")
	flags.StringVar(&o.out, "out", "", "copy what CMD leaves in "+outPath+" to this `FOLDER` of the host")
	flags.BoolVar(&o.verbose, "v", false, "say how long it took")
	if err := flags.Parse(args); err != nil {
		return options{}, flagError(err)
	}
	o.cmd = flags.Args()
	o.modules = strings.FieldsFunc(modules, func(r rune) bool { return r == ',' })
	o.systemd = o.systemd || o.image != ""
	o.root = o.root || o.systemd || o.initramfs != ""
	if o.icount {
		o.cpus = 1
	}
	if o.cpu == "" {
		o.cpu = processor(o.icount)
	}
	if name == "shell" {
		o.shell, o.timeout = true, 0
		if len(o.cmd) == 0 {
			o.in, o.cmd = true, []string{"sh"}
			if o.root {
				o.cmd = []string{"bash", "-l"}
			}
		}
	}
	if len(o.cmd) == 0 {
		return options{}, usageError{errors.New("no CMD to run")}
	}
	if o.image != "" && o.initramfs != "" {
		return options{}, usageError{errors.New("-image and -initramfs exclude one another: an image has scripts of its own")}
	}
	var err error
	if o.kernel, err = findKernel(specs, kernelName); err != nil {
		return options{}, usageError{err}
	}
	return o, nil
}

// flagError keeps the request for help apart from mistakes. Package flag has told about both.
func flagError(err error) error {
	if errors.Is(err, flag.ErrHelp) {
		return err
	}
	return usageError{err}
}
