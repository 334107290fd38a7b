/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * What a seal closes to everybody, root outside any jail included, until the next boot.
 *
 *   locked_down        raw memory, ports, kprobes, kexec images, debugfs, bpf_probe_write_user
 *   cgroup/sysctl      kernel.ftrace_enabled, also through descriptors opened before
 *   the others         guard.h, file.h, proc.h, enroll.h and ways.h ask seal_*() below
 *
 * No verdict on a policy rests on who asks: after a seal nothing gets a writable descriptor
 * of a map that policies are in, our own program neither. Our program, known by its file,
 * may read them, run our programs, and write what asks for enrollments.
 */
#ifndef JAIL_SEAL_H
#define JAIL_SEAL_H

#include "core.h"

int guard_check(struct query *q);

/* What is guarded of the file that the process of this task executes: enum guard_flag. */
__noinline int guards_exe(__u64 task)
{
	struct task_struct *t = (struct task_struct *)task;
	struct guard_key key = {};
	struct inode *inode;
	struct file *exe;
	__u32 *flags;

	exe = BPF_CORE_READ(t, mm, exe_file);
	if (!exe)
		return 0;
	inode = BPF_CORE_READ(exe, f_inode);
	key.ino = BPF_CORE_READ(inode, i_ino);
	key.generation = BPF_CORE_READ(inode, i_generation);
	key.device = BPF_CORE_READ(inode, i_sb, s_dev);
	flags = bpf_map_lookup_elem(&guarded, &key);
	return flags ? *flags & GUARD_BINARY : 0;
}

/* This is our program, run by root, and nobody acts through it. */
static __always_inline int own_program(void)
{
	struct task_struct *t = bpf_get_current_task_btf();

	return is_root(t) && !t->ptrace && guards_exe(bpf_get_current_task());
}

/* A change of the entry q->leaf. 0: not sealed. Global: see refuse_sealed(). */
__noinline int seal_inode(struct query *q, __u32 above)
{
	struct dentry *d;
	int flags;

	if (!q)
		return -EPERM;
	if (!sealed())
		return 0;
	d = (struct dentry *)q->leaf;
	if (BPF_CORE_READ(d, d_sb, s_magic) != BPFFS_MAGIC)
		return 0;
	flags = guard_check(q);
	if (!(flags & GUARD_PINS) && !(above && (flags & GUARD_PINS_ABOVE)))
		return 0;
	q->op = OP_GUARD;
	q->access = ACCESS_WRITE;
	refuse_sealed(q);
	return -EPERM;
}

/* A pin that is opened like a file: a map's prints what is in it, an iterator's runs. */
__noinline int seal_open(struct query *q)
{
	if (!q)
		return -EPERM;
	if (!sealed() || own_program() || !(guard_check(q) & GUARD_PINS))
		return 0;
	q->op = OP_GUARD;
	q->access = ACCESS_READ;
	refuse_sealed(q);
	return -EPERM;
}

/* Taking away, or mounting over, what is at q->leaf: the pins would go with their mount.
 * These four only answer, 1: closed. */
__noinline int seal_mount(struct query *q)
{
	if (!q)
		return 1;
	if (!sealed() || !(guard_check(q) & (GUARD_PINS | GUARD_PINS_ABOVE)))
		return 0;
	q->op = OP_MOUNT;
	return 1;
}

/* ---- bpf(2) ---- */

#define ONE(n) (1ULL << (n))

/* Programs that see, or change, what the kernel does: kprobe, tracepoint, perf_event,
 * raw_tracepoint and its writable kind, tracing, ext, lsm. */
static const __u64 watching_types =
	ONE(2) | ONE(5) | ONE(7) | ONE(17) | ONE(24) | ONE(26) | ONE(28) | ONE(29);

/* Attach types of networks, control groups and struct_ops: all others are refused. */
static const __u64 harmless_attachments =
	(ONE(23) - 1) | (ONE(41) - ONE(29)) | (ONE(48) - ONE(44)) | (ONE(56) - ONE(49));

enum {
	LINK_CREATE_TYPE_AT = 8, /* of attach_type in bpf(2)'s attributes, also PROG_ATTACH's */
};

/* Does the seal close this command? */
static __always_inline int seals_command(__u32 cmd, __u64 attributes)
{
	__u32 first = 0, third = 0;

	bpf_probe_read_kernel(&first, sizeof(first), (void *)attributes);
	bpf_probe_read_kernel(&third, sizeof(third), (void *)(attributes + LINK_CREATE_TYPE_AT));
	switch (cmd) {
	case BPF_PROG_LOAD:
		return first > 63 || ((watching_types >> (first & 63)) & 1);
	case BPF_RAW_TRACEPOINT_OPEN:
		return 1;
	case BPF_ITER_CREATE: /* a link's pin opens: this would run it */
		return !own_program();
	case BPF_PROG_ATTACH:
	case BPF_LINK_CREATE:
		return third > 63 || !((harmless_attachments >> (third & 63)) & 1);
	case BPF_PROG_DETACH:
		return third == BPF_CGROUP_SYSCTL;
	}
	return 0;
}

/* q->leaf: the address of the command's attributes. */
__noinline int seal_bpf(struct query *q, __u32 cmd)
{
	__u64 attributes;

	if (!q)
		return 1;
	attributes = q->leaf;
	q->leaf = 0;
	if (sealed() < SEAL_ROLES || !seals_command(cmd, attributes))
		return 0;
	q->op = OP_BPF;
	q->value = cmd;
	return 1;
}

/* Is this one of the tables that policies are in? They come and go, so no list has them. */
static __always_inline int is_inner(const struct bpf_map *map)
{
	const char inner[] = "tables_inner";
	char name[sizeof(inner)] = {};

	bpf_probe_read_kernel_str(name, sizeof(name), (void *)map->name);
	return !__builtin_memcmp(name, inner, sizeof(name));
}

/* A descriptor for a map: `use` is what our list says of it, 0: it is not there. */
__noinline int seal_map(struct query *q, __u32 use, __u32 mode)
{
	if (!q)
		return 1;
	if (!sealed() || (own_program() && (use == GUARD_WRITE || !(mode & FMODE_WRITE))))
		return 0;
	q->op = OP_BPF;
	q->value = BPF_MAP_GET_FD_BY_ID;
	return 1;
}

/* A descriptor for a program, ours or one that watches. */
__noinline int seal_program(struct query *q)
{
	if (!q)
		return 1;
	if (!sealed() || own_program())
		return 0;
	q->op = OP_BPF;
	q->value = BPF_PROG_GET_FD_BY_ID;
	return 1;
}

/* ---- the kernel's surface ---- */

/* What the kernel would run or read as code: firmware, policies and certificates are none. */
static __always_inline int seals_code(__u32 id)
{
	return sealed() >= SEAL_ROLES && id != READING_FIRMWARE && id != READING_POLICY &&
	       id != READING_X509;
}

/* Attaching a program that was loaded before: to a probe that was made before. */
__noinline int seal_ioctl(struct query *q, __u32 cmd)
{
	if (!q)
		return -EPERM;
	if (cmd != PERF_EVENT_IOC_SET_BPF || sealed() < SEAL_ROLES)
		return 0;
	q->op = OP_PERF;
	q->value = cmd;
	refuse_sealed(q);
	return -EPERM;
}

/* Acting for our program, of which q->leaf is a task: it may read what others may not. */
__noinline int seal_ptrace(struct query *q, __u32 mode)
{
	__u64 task;

	if (!q)
		return -EPERM;
	task = q->leaf;
	q->leaf = 0;
	if (!(mode & PTRACE_MODE_ATTACH) || !sealed() || !guards_exe(task))
		return 0;
	q->op = OP_PTRACE;
	refuse_sealed(q);
	return -EPERM;
}

SEC("lsm/locked_down")
int BPF_PROG(seal_lockdown, int what, int ret)
{
	struct query q = { .op = OP_KERNEL, .granted = ROLE_DEPTH };

	if (ret)
		return earlier(ret);
	if (what > (int)bpf_core_enum_value(enum lockdown_reason, LOCKDOWN_INTEGRITY_MAX) &&
	    what != (int)bpf_core_enum_value(enum lockdown_reason, LOCKDOWN_KCORE) &&
	    what != (int)bpf_core_enum_value(enum lockdown_reason, LOCKDOWN_KPROBES))
		return 0;
	if (sealed() < SEAL_ROLES)
		return 0;
	q.value = what;
	return errno_of(refuse_sealed(&q));
}

/* Attached to the topmost control group by a seal: writing 0 there ends every BPF LSM. The
 * kernel asks at each write, also through a descriptor that was opened before. */
SEC("cgroup/sysctl")
int seal_sysctl(struct bpf_sysctl *ctx)
{
	const char sealed_name[] = "kernel/ftrace_enabled";
	char name[sizeof(sealed_name)] = {};
	struct control *c;

	if (!ctx->write || bpf_sysctl_get_name(ctx, name, sizeof(name), 0) < 0)
		return 1;
	for (__u32 i = 0; i < sizeof(name); i++) {
		if (name[i] != sealed_name[i])
			return 1;
	}
	c = get_control();
	return c && c->sealed < SEAL_ROLES;
}

/* ---- sealing ---- */

/* Run by the loader: the only way from one enum seal to the next. Back there is a way only
 * from a seal that was not finished. */
SEC("syscall")
int seal_to(struct sealing *ask)
{
	struct control *c = get_control();
	__u32 level = ask->level;

	if (!c || level > SEAL_STRICT)
		return EINVAL;
	if (c->sealed > SEAL_CLOSING ? level < c->sealed : level == c->sealed)
		return EPERM;
	if (level > SEAL_CLOSING && c->sealed == SEAL_NONE)
		return EPERM;
	c->sealed = level;
	return 0;
}

/* Prints what each program could do to ours, as struct program_use. */
SEC("iter/bpf_prog")
int programs_iter(struct bpf_iter__bpf_prog *ctx)
{
	struct bpf_prog *prog = ctx->prog;
	struct program_use use = {};
	struct bpf_prog *made_for;
	struct bpf_map **maps, *map;

	if (!prog)
		return 0;
	use.id = BPF_CORE_READ(prog, aux, id);
	use.type = BPF_CORE_READ(prog, type);
	use.attach_type = BPF_CORE_READ(prog, expected_attach_type);
	use.target = BPF_CORE_READ(prog, aux, attach_btf_id);
	made_for = BPF_CORE_READ(prog, aux, dst_prog);
	if (made_for)
		use.program = BPF_CORE_READ(made_for, aux, id);
	use.count = BPF_CORE_READ(prog, aux, used_map_cnt);
	maps = BPF_CORE_READ(prog, aux, used_maps);
	for (__u32 i = 0; i < 64; i++) {
		if (i >= use.count || bpf_probe_read_kernel(&map, sizeof(map), maps + i))
			break;
		use.maps[i] = BPF_CORE_READ(map, id);
	}
	bpf_probe_read_kernel_str(use.name, sizeof(use.name), (void *)prog->aux->name);
	bpf_seq_write(ctx->meta->seq, &use, sizeof(use));
	return 0;
}

/* Prints who refers to our maps, as struct map_use. */
SEC("iter/bpf_map")
int maps_iter(struct bpf_iter__bpf_map *ctx)
{
	struct bpf_map *map = ctx->map;
	struct map_use use = {};
	__u64 key;

	if (!map)
		return 0;
	use.inner = is_inner(map);
	key = (__u64)GUARD_MAP << 32 | map->id;
	if (!use.inner && !bpf_map_lookup_elem(&guarded_objects, &key))
		return 0;
	use.id = map->id;
	use.references = BPF_CORE_READ(map, refcnt.counter);
	use.users = BPF_CORE_READ(map, usercnt.counter);
	use.writers = BPF_CORE_READ(map, writecnt.counter);
	bpf_seq_write(ctx->meta->seq, &use, sizeof(use));
	return 0;
}

#endif
