// Package loader is everything that talks to the kernel: it probes what the kernel
// can do, loads, attaches and pins the BPF programs, installs compiled policies,
// arms the calling thread, and lists subjects and status.
//
// The kernel part outlives the process: maps and links are pinned below [Dir] and no
// daemon is needed.
//
//	k, err := loader.Load(loader.Options{Roles: set.Roles()})
//	...
//	defer k.Close()
//
// and, in the thread that is about to exec a command under a role:
//
//	runtime.LockOSThread()
//	err := loader.Arm([]uint32{3}, 0)
//
// # Limitations
//
// Linux 6.1 and later with "bpf" among the active LSMs. Only root loads.
package loader
