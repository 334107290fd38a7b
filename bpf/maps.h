/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* All maps. Every one is pinned under its own name and outlives the loader. */
#ifndef JAIL_MAPS_H
#define JAIL_MAPS_H

#include "kernel.h"
#include "abi.h"

/* What bpf2go exports and no program or map names by its type. */
const struct {
	struct page page;
	struct subject_info subject_info;
	struct net_range4 net_range4;
	struct net_range6 net_range6;
	struct net_node net_node;
	struct port_range port_range;
	struct table_start table_start;
	enum abi abi;
	enum role_flag role_flag;
	enum socket_kind socket_kind;
	enum access access;
	enum file_state file_state;
	enum start_kind start_kind;
	enum role_state role_state;
	enum unix_access unix_access;
	enum refusal refusal;
	enum prctl prctl;
	enum event_kind event_kind;
	enum op op;
	enum reason reason;
	enum member_flag member_flag;
	enum subject_flag subject_flag;
	enum counter counter;
	enum entrant_kind entrant_kind;
	enum stamp_flag stamp_flag;
	enum trust trust;
	enum entrance_flag entrance_flag;
	enum identify_op identify_op;
	struct mark mark;
	enum guard_flag guard_flag;
	enum guard_object guard_object;
	struct path_identity path_identity;
	enum guard_use guard_use;
	enum seal seal;
	struct sealing sealing;
	struct admission admission;
	enum admit_op admit_op;
	enum room_state room_state;
	struct map_use map_use;
	struct program_use program_use;
} *exported __attribute__((unused));

/* The control block. The loader has it mapped and stores single words (door, instance,
 * seal, ids): programs read them meanwhile. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct control);
} control_block SEC(".maps");

/* What the programs count up: domain ids, denials. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct tally);
} tallies SEC(".maps");

/* Task -> its list. Written by the exec and fork hooks; ends with the task. */
struct {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct subject);
} subjects SEC(".maps");

/* Threads that fork, by tid, and enum fork_state; only on kernels that forks.h is about. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 65536);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, __u32);
	__type(value, __u32);
} forks SEC(".maps");

/* The entry of a task whose own cannot be told: one role, NO_ROLE, which no policy
 * has, so that everything is refused. Written once by the loader. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct subject);
} unknown_subject SEC(".maps");

/* Task -> what its next exec enters. Written by the prctl hook for the calling
 * thread only; consumed by the exec, or ends with the task. */
struct {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct pending);
} pending_enrollments SEC(".maps");

/* Role slot -> role. The loader has it mapped, so that policy_slot flips as one word. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, POLICY_SLOTS);
	__type(key, __u32);
	__type(value, struct role);
} roles SEC(".maps");

/* Role id -> role slot. Written by the loader. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, POLICY_SLOTS);
	__type(key, __u32);
	__type(value, __u32);
} role_slots SEC(".maps");

/* Policy slot -> policy. Written by the loader, which has it mapped, before a role
 * points at it; not changed until no program can look at it any more. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, POLICY_SLOTS);
	__type(key, __u32);
	__type(value, struct policy);
} policies SEC(".maps");

struct tables_inner {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_INNER_MAP);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct page);
};

/* Policy slot -> that policy's tables, an array of pages. Written like policies; what a
 * free slot has is used again. Slot 0 is written to wait for the programs that run. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, POLICY_SLOTS);
	__type(key, __u32);
	__array(values, struct tables_inner);
} tables SEC(".maps");

/* Policy slot -> room for a policy after a seal. Made by the loader before the seal; written
 * by `admit_role` and, as domains come and go, by those who count them. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 1024);
	__type(key, __u32);
	__type(value, struct room);
} rooms SEC(".maps");

/* (policy, filesystem) -> the automaton's state at that filesystem's root. Written
 * by the loader. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 1 << 20);
	__type(key, struct start_key);
	__type(value, __u32);
} starts SEC(".maps");

/* Directory -> the states of policies after its path. Written by the programs that judge
 * what is in it; ends with its inode. */
struct {
	__uint(type, BPF_MAP_TYPE_INODE_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct directory);
} directories SEC(".maps");

/* Hash of a directory's inode -> its address: who opened something in it was there once.
 * Written by the same programs; a hint, which nothing rests on. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, PASSED);
	__type(key, __u32);
	__type(value, __u64);
} passed SEC(".maps");

/* UNIX socket made by a subject -> whose it is. Made with the socket, ends with it. */
struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct owner);
} sockets SEC(".maps");

/* Domain id -> domain. Made at enrollment, removed with its last task. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 1 << 16);
	__type(key, __u64);
	__type(value, struct domain);
} domains SEC(".maps");

/* Domain id modulo the size -> how much the domain may still report; 0: what belongs to no
 * domain. Made and removed with the domain, where no other domain has the place. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, LIMITS);
	__type(key, __u32);
	__type(value, struct limit);
} limits SEC(".maps");

/* Pod -> who holds it. Made and removed with its domains. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 1 << 16);
	__type(key, __u64);
	__type(value, struct pod);
} pods SEC(".maps");

/* (policy, user or group) -> may enter. Written by the loader before a role points at
 * the policy. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 1 << 16);
	__type(key, struct entrant);
	__type(value, __u32);
} entrants SEC(".maps");

/* Process id -> enrollment from outside that is under way. Written and removed by the
 * loader; results by the iterator. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 1 << 12);
	__type(key, __u32);
	__type(value, struct stamp);
} stamps SEC(".maps");

/* Marked executables, as the kernel knows them. Written by the loader. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 1 << 16);
	__type(key, struct file_key);
	__type(value, struct entrance);
} executables SEC(".maps");

/* Executables by their canonical path: (policy, rule) -> entrance. Written by the
 * loader before `ways` names the policy. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 1 << 16);
	__type(key, struct path_key);
	__type(value, struct entrance);
} executable_paths SEC(".maps");

/* Control groups by their path. Written by the loader. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 1 << 14);
	__type(key, struct cgroup_key);
	__type(value, struct entrance);
} cgroups SEC(".maps");

/* Which of these tables count. Written by the loader, a word at a time. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct ways);
} ways_in SEC(".maps");

/* Room to work in, taken and given back within one hook. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, SCRATCHES);
	__type(key, __u32);
	__type(value, struct scratch);
} scratches SEC(".maps");

/* The process whose descendants a stamp with STAMP_TREE covers; 0: none. Written by the
 * loader, under its lock. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} trees SEC(".maps");

/* Inode -> enum guard_flag bits. Written by the loader at load and reload. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 1024);
	__type(key, struct guard_key);
	__type(value, __u32);
} guarded SEC(".maps");

/* enum guard_object << 32 | id -> enum guard_use: maps, programs and links of ours. Written
 * by the loader. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 1024);
	__type(key, __u64);
	__type(value, __u32);
} guarded_objects SEC(".maps");

/* Address of a System V object's kern_ipc_perm -> the list of its maker. Ends with the
 * object. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 1 << 16);
	__type(key, __u64);
	__type(value, struct owner);
} ipc_owners SEC(".maps");

/* Denials and lifecycle, oldest first, for one reader. */
struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 20);
	__type(value, struct event);
} events SEC(".maps");

/* The latest denials, by number modulo the size: read without consuming anything. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, DENIALS);
	__type(key, __u32);
	__type(value, struct event);
} denials SEC(".maps");

/* enum counter -> count, per CPU. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, COUNTERS);
	__type(key, __u32);
	__type(value, __u64);
} counters SEC(".maps");

#endif
