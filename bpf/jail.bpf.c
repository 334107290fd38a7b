//go:build ignore
// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * The walls of jail: BPF LSM programs, one compile unit, one header per area.
 *
 *   enroll.h  who is a subject: prctl, exec, fork, exit
 *   stamp.h   processes enrolled from outside
 *   ways.h    ways in besides jail run: marks, executables, control groups, running tasks
 *   file.h    files: opens, changes, moves
 *   net.h     sockets: create, bind, listen, connect, sendmsg
 *   exec.h    exec, mapping code, and what an exec may gain
 *   proc.h    identity, capabilities, other processes, System V IPC
 *   reach.h   reach to a process known by address only
 *   seal.h    what a seal closes to everybody
 *   rooms.h   what may come after a seal
 *   guard.h   self-protection and the kernel's own surface
 *
 * Every program passes on an earlier refusal, finds the subject, and returns 0 for
 * tasks that are none, but for what a seal closes. bpf/README.md has the table of hooks and known
 * gaps.
 */
#include "kernel.h"
#include "abi.h"
#include "maps.h"
#include "core.h"
#include "enroll.h"
#include "forks.h"
#include "stamp.h"
#include "reach.h"
#include "seal.h"
#include "guard.h"
#include "file.h"
#include "rooms.h"
#include "ways.h"
#include "net.h"
#include "exec.h"
#include "proc.h"

char _license[] SEC("license") = "Dual MIT/GPL";
