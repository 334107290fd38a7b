/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Self-protection and the kernel's own surface. What is refused here for reason GUARD is
 * refused to every subject of every role, and never only reported.
 *
 *   bpf   bpf(2) as a whole, but for roles that name it
 *   inode_setxattr, inode_removexattr   the mark of an executable (guard_mark(), from file.h)
 *
 * What the jail rests on is known by inode (the guarded map) and by the ids of its BPF
 * objects, never by a path. The inode_* hooks are used, not path_*, because they are
 * called for every layer of an overlay. bpf/README.md has the table and the gaps.
 */
#ifndef JAIL_GUARD_H
#define JAIL_GUARD_H

#include "core.h"
#include "enroll.h"
#include "reach.h"
#include "seal.h"

/* Mount namespace of process 1 (its inode number). Set by the loader before the load. */
const volatile __u32 reference_namespace = 0;

enum {
	MAJOR_MEM = 1,
	MAJOR_TTY = 4,
	MAJOR_TTYAUX = 5,
	MAJOR_PTS = 136,
	MAJOR_PTS_LAST = 143,
	MINOR_BITS = 20,
	GUARD_LEVELS = 1024,	/* directory levels up to which it can be told what is guarded */
	GUARD_MOUNTS = 1 << 18, /* steps among the mounts below one: two for each, and some */
};

struct guard_climb {
	__u64 at;
	__u32 flags;
	__u32 done;
};

/* What is guarded of this very entry. Raw reads: these are not the hook's own pointers. */
static __always_inline __u32 guards_entry(const struct dentry *d)
{
	struct inode *inode = PEEK((struct dentry *)d, d_inode);
	struct guard_key key = {};
	struct super_block *sb;
	__u32 *flags;

	if (!inode)
		return 0;
	sb = PEEK(inode, i_sb);
	key.ino = PEEK(inode, i_ino);
	key.generation = PEEK(inode, i_generation);
	key.device = PEEK(sb, s_dev);
	flags = bpf_map_lookup_elem(&guarded, &key);
	return flags ? *flags : 0;
}

/* One directory up. */
static long guard_one(__u32 i, struct guard_climb *c)
{
	struct dentry *d = (struct dentry *)c->at, *parent;
	__u32 flags = guards_entry(d);

	c->flags |= i ? flags & (GUARD_TREE | GUARD_PINS) : flags;
	if (flags & GUARD_TREE) {
		c->done = 1;
		return 1;
	}
	parent = PEEK(d, d_parent);
	if (!parent || parent == d) {
		c->done = 1;
		return 1;
	}
	c->at = (__u64)parent;
	return 0;
}

/*
 * Does the jail rest on the file whose dentry is q->leaf? enum guard_flag; GUARD_TREE: it is
 * guarded, or beneath what is; GUARD_ABOVE: it is above. Too deep to tell counts as guarded.
 */
__noinline int guard_check(struct query *q)
{
	struct guard_climb c = {};

	if (!q)
		return GUARD_TREE;
	c.at = q->leaf;
	bpf_loop(GUARD_LEVELS, guard_one, &c, 0);
	if (!c.done)
		return GUARD_TREE | GUARD_PINS;
	return c.flags;
}

/* The dentry directly below the root of its filesystem that `leaf` is or is under. */
static long top_one(__u32 i, __u64 *at)
{
	struct dentry *d = (struct dentry *)*at, *parent = BPF_CORE_READ(d, d_parent);
	struct dentry *above;

	if (!parent || parent == d)
		return 1;
	above = BPF_CORE_READ(parent, d_parent);
	if (above == parent)
		return 1;
	*at = (__u64)parent;
	return 0;
}

static __always_inline __u64 name_head(const struct dentry *d)
{
	__u64 head = 0;

	bpf_probe_read_kernel_str(&head, sizeof(head), (void *)BPF_CORE_READ(d, d_name.name));
	return head;
}

/* A name's first bytes as a number, up to 7 of them. */
#define HEAD(name)                                                                                 \
	({                                                                                         \
		union {                                                                            \
			char text[8];                                                              \
			__u64 number;                                                              \
		} head_ = { .text = name };                                                        \
		head_.number;                                                                      \
	})

/* Entries of /proc/PID that show or change memory and that capabilities open where the
 * ptrace hooks are not asked (mm_access since 6.16), or that ask nobody. */
static __always_inline int shows_memory(__u64 head)
{
	return head == HEAD("environ") || head == HEAD("maps") || head == HEAD("smaps") ||
	       head == HEAD("smaps_r") || head == HEAD("numa_ma") || head == HEAD("auxv") ||
	       head == HEAD("mem") || head == HEAD("pagemap") || head == HEAD("clear_r");
}

/* What guard_look() saw. */
enum {
	LOOK_FINE = 0,
	LOOK_GUARD = 1,
	LOOK_REACH = 2,
	LOOK_DEVICE = 3,
	LOOK_CODE = 4,
};

/* procfs: other processes beyond reach, and what steers the kernel. 0: no objection. */
static __always_inline int guard_proc(struct subject *s, struct query *q, struct dentry *d,
				      __u32 access)
{
	struct inode *inode = BPF_CORE_READ(d, d_inode);
	struct proc_inode *proc;
	__u64 top = (__u64)d, head;
	struct pid *pid;
	__u8 first;

	bpf_loop(GUARD_LEVELS, top_one, &top, 0);
	head = name_head((struct dentry *)top);
	first = head & 0xff;
	if (first >= '0' && first <= '9') {
		if (!inode)
			return 0;
		if (!(access & ACCESS_WRITE) && !shows_memory(name_head(d)))
			return 0;
		proc = (void *)inode - bpf_core_field_offset(struct proc_inode, vfs_inode);
		pid = BPF_CORE_READ(proc, pid);
		if (!pid || reaches_pid(s, (__u64)pid)) {
			/* Writing there also reaches what is mapped as code, and may not be
			 * written. */
			if (!(access & ACCESS_WRITE) || name_head(d) != HEAD("mem"))
				return 0;
			q->op = OP_MAP_EXEC;
			return LOOK_CODE;
		}
		q->op = OP_PROC;
		return LOOK_REACH;
	}
	if (!(access & ACCESS_WRITE))
		return 0;
	if (head == HEAD("sys")) {
		/* The second component decides: net, user, vm... are left to permissions. */
		__u64 second = (__u64)d;
		struct dentry *up = d;

		for (int i = 0; i < 8; i++) {
			up = BPF_CORE_READ((struct dentry *)second, d_parent);
			if ((__u64)up == top || !up)
				break;
			second = (__u64)up;
		}
		head = name_head((struct dentry *)second);
		if (head == HEAD("net") || head == HEAD("vm") || head == HEAD("user"))
			return 0;
	}
	q->op = OP_KERNEL;
	return LOOK_GUARD;
}

static __always_inline int device_verdict(struct subject *s, struct policy *p, struct query *q)
{
	struct start_key key = { .policy_id = p->id, .kind = q->access, .value = q->value };

	return bpf_map_lookup_elem(&starts, &key) != NULL;
}

/* Character devices that do no harm beyond their own terminal, and none else. */
static __always_inline int harmless(__u32 rdev)
{
	__u32 major = rdev >> MINOR_BITS, minor = rdev & ((1 << MINOR_BITS) - 1);

	if (major == MAJOR_MEM)
		return minor == 3 || minor == 5 || (minor >= 7 && minor <= 9);
	if (major == MAJOR_TTYAUX)
		return minor <= 2;
	return rdev == 0 || major == MAJOR_TTY || (major >= MAJOR_PTS && major <= MAJOR_PTS_LAST);
}

/* What an open (enum access) of q->leaf means for the jail. Global: its stack is not
 * under that of the verdicts. */
__noinline int guard_look(struct subject *s, struct query *q, __u32 access)
{
	struct super_block *sb;
	struct inode *inode;
	struct dentry *d;
	__u64 magic, head;
	__u16 type = 0;

	if (!s || !q)
		return LOOK_GUARD;
	d = (struct dentry *)q->leaf;
	q->op = OP_GUARD;
	inode = PEEK(d, d_inode);
	q->access = access;
	if (inode) {
		type = PEEK(inode, i_mode) & S_IFMT;
		if (type == S_IFCHR || type == S_IFBLK) {
			q->value = PEEK(inode, i_rdev);
			if (type == S_IFCHR && harmless(q->value))
				return 0;
			q->op = OP_DEVICE;
			q->access = type == S_IFCHR ? START_OPEN_CHAR : START_OPEN_BLOCK;
			return LOOK_DEVICE;
		}
	}
	sb = PEEK(d, d_sb);
	magic = PEEK(sb, s_magic);
	if (magic == PROC_SUPER_MAGIC)
		return guard_proc(s, q, d, access);
	/* Reading a pin runs it: iterators tell who is jailed. Nor are pins listed. */
	if (magic == BPFFS_MAGIC && (guard_check(q) & GUARD_TREE))
		return LOOK_GUARD;
	if (!(access & ACCESS_WRITE))
		return 0;
	switch ((__u32)magic) {
	case CGROUP_MAGIC:
	case CGROUP2_MAGIC:
		head = name_head(d);
		/* kills whoever is in the group; runs a program outside */
		if (head != HEAD("cgroup.") && head != HEAD("release"))
			return 0;
		if (head == HEAD("cgroup.")) {
			__u64 tail = 0;

			bpf_probe_read_kernel_str(&tail, sizeof(tail),
						  (void *)BPF_CORE_READ(d, d_name.name) + 7);
			if (tail != HEAD("kill"))
				return 0;
		}
		q->op = OP_KERNEL;
		return LOOK_GUARD;
	case SYSFS_MAGIC:
	case TRACEFS_MAGIC:
	case DEBUGFS_MAGIC:
	case SECURITYFS_MAGIC:
	case BINFMT_MAGIC:
	case (__u32)EFIVARFS_MAGIC:
		q->op = OP_KERNEL;
		return LOOK_GUARD;
	}
	if (guard_check(q) & GUARD_TREE)
		return LOOK_GUARD;
	return 0;
}

/* Refuses what guard_look() saw. Global, for the same reason. */
__noinline int guard_refuse(struct subject *s, struct query *q, __u32 seen)
{
	if (!s || !q)
		return -EACCES;
	if (seen == LOOK_DEVICE)
		return hard_decide(s, q, device_verdict, EACCES);
	if (seen == LOOK_CODE) {
		q->access = ALLOW_JIT;
		q->leaf = 0;
		return flag_decide(s, q, EACCES);
	}
	return refuse_always(s, q, seen == LOOK_REACH ? REASON_REACH : REASON_GUARD, EACCES);
}

/* What is asked first of a file. */
struct nature {
	__u64 magic;	/* of its filesystem */
	__u32 type;	/* S_IFMT; 0: there is no inode */
	__u32 pathless; /* it is the kernel's own, and has no path */
};

/* Kernel-internal files (pipes, sockets, memfd, anonymous inodes, namespaces) have no path. */
static __always_inline struct nature nature_of(struct dentry *dentry)
{
	struct inode *inode = PEEK(dentry, d_inode);
	struct super_block *sb = PEEK(dentry, d_sb);
	struct nature n = { .magic = PEEK(sb, s_magic) };

	n.pathless = (PEEK(sb, s_flags) & SB_NOUSER) || n.magic == NSFS_MAGIC;
	if (inode)
		n.type = PEEK(inode, i_mode) & S_IFMT;
	return n;
}

/*
 * What self-protection says of an open: 0, or a negative errno. The query is the caller's,
 * who fills it afterwards: stack is scarce.
 */
static __always_inline int guard_file(struct subject *s, struct query *q, struct dentry *d,
				      const struct nature *n, __u32 access)
{
	int seen;

	if (!s->depth)
		return 0;
	/* Most opens by far: guard_look() would say the same. */
	if (!(access & ACCESS_WRITE) && (n->type == S_IFREG || n->type == S_IFDIR) &&
	    n->magic != PROC_SUPER_MAGIC && n->magic != BPFFS_MAGIC)
		return 0;
	q->leaf = (__u64)d;
	seen = guard_look(s, q, access);
	return seen == LOOK_FINE ? 0 : guard_refuse(s, q, seen);
}

/*
 * Changing the file or the entry whose dentry is q->leaf. `above`: it moves or goes. Global,
 * and with the caller's query, who fills it afterwards: stack is scarce.
 */
__noinline int guard_inode(struct subject *s, struct query *q, __u32 above)
{
	struct super_block *sb;
	struct dentry *d;
	__u32 magic;
	int flags;

	if (!s || !q)
		return -EPERM;
	q->op = OP_GUARD;
	q->access = ACCESS_WRITE;
	flags = guard_check(q);
	if ((flags & GUARD_TREE) || (above && (flags & GUARD_ABOVE)))
		return refuse_always(s, q, REASON_GUARD, EPERM);
	d = (struct dentry *)q->leaf;
	sb = PEEK(d, d_sb);
	magic = PEEK(sb, s_magic);
	if (magic == BPFFS_MAGIC) {
		q->access = ALLOW_BPF;
		return hard_decide(s, q, flag_verdict, EPERM);
	}
	return 0;
}

/* The same, where nothing else is asked. */
static __always_inline int guard_entry(struct dentry *dentry, __u32 above, int ret)
{
	struct subject *s;
	struct query q;

	if (ret)
		return earlier(ret);
	s = current_subject();
	if (!s && !sealed())
		return 0;
	ask(&q, OP_GUARD);
	q.leaf = (__u64)dentry;
	return errno_of(s ? guard_inode(s, &q, above) : seal_inode(&q, above));
}

/* The same, of two. */
static __always_inline int guard_entries(struct dentry *one, struct dentry *other, int ret)
{
	struct subject *s;
	struct query q;
	int err;

	if (ret)
		return earlier(ret);
	s = current_subject();
	if (!s && !sealed())
		return 0;
	ask(&q, OP_GUARD);
	q.leaf = (__u64)one;
	err = s ? guard_inode(s, &q, 1) : seal_inode(&q, 1);
	if (err)
		return errno_of(err);
	q.leaf = (__u64)other;
	return errno_of(s ? guard_inode(s, &q, 1) : seal_inode(&q, 1));
}

SEC("lsm/inode_unlink")
int BPF_PROG(guard_unlink, struct inode *dir, struct dentry *dentry, int ret)
{
	return guard_entry(dentry, 1, ret);
}

SEC("lsm/inode_rmdir")
int BPF_PROG(guard_rmdir, struct inode *dir, struct dentry *dentry, int ret)
{
	return guard_entry(dentry, 1, ret);
}

SEC("lsm/inode_rename")
int BPF_PROG(guard_rename, struct inode *old_dir, struct dentry *old_dentry, struct inode *new_dir,
	     struct dentry *new_dentry, int ret)
{
	return guard_entries(old_dentry, new_dentry, ret);
}

SEC("lsm/inode_link")
int BPF_PROG(guard_link, struct dentry *old_dentry, struct inode *dir, struct dentry *new_dentry,
	     int ret)
{
	return guard_entries(old_dentry, new_dentry, ret);
}

SEC("lsm/inode_mkdir")
int BPF_PROG(guard_mkdir, struct inode *dir, struct dentry *dentry, int mode, int ret)
{
	return guard_entry(dentry, 0, ret);
}

SEC("lsm/inode_symlink")
int BPF_PROG(guard_symlink, struct inode *dir, struct dentry *dentry, const char *old_name, int ret)
{
	return guard_entry(dentry, 0, ret);
}

/* A file that makes whoever runs it somebody else. */
static __always_inline int has_set_id(__u32 mode)
{
	return (mode & S_ISUID) || (mode & (S_ISGID | S_IXGRP)) == (S_ISGID | S_IXGRP);
}

/* Giving the file whose dentry is q->leaf a set-id bit or a capability. Global, as
 * guard_inode(). */
__noinline int setid_planted(struct subject *s, struct query *q)
{
	if (!s || !q)
		return -EPERM;
	if (lent_creds())
		return 0;
	q->op = OP_SET_ID_BIT;
	q->access = ALLOW_SETUID;
	return flag_decide(s, q, EPERM);
}

/* A new file, of that mode. */
static __always_inline int guard_new(struct dentry *dentry, int mode, int ret)
{
	struct subject *s;
	struct query q;
	int err;

	if (ret)
		return earlier(ret);
	s = current_subject();
	if (!s && !sealed())
		return 0;
	ask(&q, OP_GUARD);
	q.leaf = (__u64)dentry;
	if (!s)
		return errno_of(seal_inode(&q, 0));
	err = guard_inode(s, &q, 0);
	if (!err && has_set_id(mode))
		err = setid_planted(s, &q);
	return errno_of(err);
}

SEC("lsm/inode_create")
int BPF_PROG(guard_create, struct inode *dir, struct dentry *dentry, int mode, int ret)
{
	return guard_new(dentry, mode, ret);
}

SEC("lsm/inode_mknod")
int BPF_PROG(guard_mknod, struct inode *dir, struct dentry *dentry, int mode, int dev, int ret)
{
	return guard_new(dentry, mode, ret);
}

/* Is this chmod, which inode_setattr tells, one that gives the file a set-id bit? */
static __always_inline int gives_set_id(struct dentry *dentry, struct iattr *attr)
{
	struct inode *inode;
	__u32 mode;

	if (!(BPF_CORE_READ(attr, ia_valid) & ATTR_MODE))
		return 0;
	mode = BPF_CORE_READ(attr, ia_mode);
	if (!has_set_id(mode))
		return 0;
	inode = BPF_CORE_READ(dentry, d_inode);
	/* Directories only hand their group down; and bits that are there are not planted. */
	return !inode || ((BPF_CORE_READ(inode, i_mode) & S_IFMT) != S_IFDIR &&
			  (mode & ~BPF_CORE_READ(inode, i_mode) & (S_ISUID | S_ISGID | S_IXGRP)));
}

/* ---- mounts ---- */

/* The task is in the mount namespace of process 1. */
static __always_inline int in_reference(void)
{
	struct task_struct *t = bpf_get_current_task_btf();

	return BPF_CORE_READ(t, nsproxy, mnt_ns, ns.inum) == reference_namespace;
}

/* Nobody outside the namespace sees what happens on this mount. */
static __always_inline int private_mount(__u64 address)
{
	struct mount *m = (void *)address - bpf_core_field_offset(struct mount, mnt);

	return !in_reference() && !BPF_CORE_READ(m, mnt_group_id);
}

/* Mounting over, or taking away, what is at a dentry on the mount `mnt`. */
static __always_inline int mount_over(struct subject *s, struct query *q, __u64 mnt, __u64 dentry)
{
	q->leaf = dentry;
	q->access = 0;
	if (mnt && private_mount(mnt))
		return 0;
	if (!s) /* once sealed */
		return seal_mount(q) ? refuse_sealed(q) : 0;
	return guard_check(q) ? refuse_always(s, q, REASON_GUARD, EPERM) : 0;
}

enum {
	MS_BIND = 0x1000,
	MS_MOVE = 0x2000,
	MS_PROPAGATION = 0x1e0000, /* MS_UNBINDABLE | MS_PRIVATE | MS_SLAVE | MS_SHARED */
	MNT_DETACH = 2,
};

static __always_inline int mount_allowed(struct subject *s, struct query *q)
{
	q->op = OP_MOUNT;
	q->granted = ROLE_DEPTH;
	q->access = ALLOW_MOUNT;
	return s ? flag_decide(s, q, EPERM) : 0;
}

SEC("lsm/sb_mount")
int BPF_PROG(guard_mount, const char *dev_name, struct path *path, const char *type,
	     unsigned long flags, void *data, int ret)
{
	struct query q = {};
	struct subject *s;
	int err;

	if (ret)
		return earlier(ret);
	s = current_subject();
	err = mount_allowed(s, &q);
	if (err || (!s && (flags & MS_REMOUNT)))
		return errno_of(err);
	/* The kernel looks for these flags in this order. */
	if (!(flags & (MS_REMOUNT | MS_BIND))) {
		if (flags & MS_PROPAGATION)
			return 0;
		/* What moves is told by name only: it may be what is guarded. Elsewhere the
		 * kernel moves nothing that others would see. */
		if ((flags & MS_MOVE) && in_reference()) {
			if (!s)
				return sealed() ? errno_of(refuse_sealed(&q)) : 0;
			q.leaf = (__u64)BPF_CORE_READ(path, dentry);
			q.access = 0;
			return errno_of(refuse_always(s, &q, REASON_GUARD, EPERM));
		}
	}
	return errno_of(mount_over(s, &q, (__u64)BPF_CORE_READ(path, mnt),
				   (__u64)BPF_CORE_READ(path, dentry)));
}

SEC("lsm/move_mount")
int BPF_PROG(guard_move_mount, struct path *from, struct path *to, int ret)
{
	struct query q = {};
	struct subject *s;
	__u64 m;
	int err;

	if (ret)
		return earlier(ret);
	s = current_subject();
	err = mount_allowed(s, &q);
	if (!err)
		err = mount_over(s, &q, (__u64)BPF_CORE_READ(to, mnt),
				 (__u64)BPF_CORE_READ(to, dentry));
	if (err)
		return errno_of(err);
	/* Taking a mount away from where it is hides it as well. */
	m = (__u64)BPF_CORE_READ(from, mnt) - bpf_core_field_offset(struct mount, mnt);
	m = (__u64)BPF_CORE_READ((struct mount *)m, mnt_parent);
	if (m == (__u64)BPF_CORE_READ(from, mnt) - bpf_core_field_offset(struct mount, mnt))
		return 0; /* not attached anywhere */
	return errno_of(mount_over(s, &q, m + bpf_core_field_offset(struct mount, mnt),
				   (__u64)BPF_CORE_READ(from, dentry)));
}

struct mount_walk {
	__u64 top, at;
	__u32 wanted; /* enum guard_flag */
	__u8 up, done;
};

static __always_inline struct mount *mount_of(const struct list_head *child)
{
	return (void *)child - bpf_core_field_offset(struct mount, mnt_child);
}

/* One step through the mounts below w->top, or up again. Ends at one that covers what is
 * guarded, where others would see it go. */
static long walk_one(__u32 i, struct mount_walk *w)
{
	struct mount *m = (struct mount *)w->at, *parent = PEEK(m, mnt_parent);
	struct list_head *next;

	if (!w->up) {
		if (w->at != w->top && PEEK(parent, mnt_group_id) &&
		    (guards_entry(PEEK(m, mnt_mountpoint)) & w->wanted))
			return 1;
		next = PEEK(m, mnt_mounts.next);
		if ((__u64)next != w->at + bpf_core_field_offset(struct mount, mnt_mounts)) {
			w->at = (__u64)mount_of(next);
			return 0;
		}
	}
	if (w->at == w->top) {
		w->done = 1;
		return 1;
	}
	next = PEEK(m, mnt_child.next);
	w->up = (__u64)next == (__u64)parent + bpf_core_field_offset(struct mount, mnt_mounts);
	w->at = (__u64)(w->up ? parent : mount_of(next));
	return 0;
}

/*
 * A lazy unmount takes along what is mounted below q->leaf, and each of these is unmounted
 * wherever its parent is mounted too: with a copy of /sys (mount --rbind) go the pins.
 * Global, as guard_inode().
 */
__noinline int takes_guarded(struct query *q, __u32 wanted)
{
	struct mount_walk w = { .wanted = wanted };

	if (!q)
		return 1;
	w.top = w.at = q->leaf;
	q->leaf = 0;
	q->access = 0;
	bpf_loop(GUARD_MOUNTS, walk_one, &w, 0);
	return !w.done;
}

SEC("lsm/sb_umount")
int BPF_PROG(guard_umount, struct vfsmount *mnt, int flags, int ret)
{
	struct mount *m, *parent;
	struct query q = {};
	struct subject *s;
	__u64 root, above;
	int err;

	if (ret)
		return earlier(ret);
	s = current_subject();
	err = mount_allowed(s, &q);
	if (err)
		return errno_of(err);
	root = (__u64)BPF_CORE_READ(mnt, mnt_root);
	m = (void *)mnt - bpf_core_field_offset(struct mount, mnt);
	parent = BPF_CORE_READ(m, mnt_parent);
	above = (__u64)parent + bpf_core_field_offset(struct mount, mnt);
	err = mount_over(s, &q, above, root);
	/* Another mount may be where, in other places, that of the pins is. */
	if (!err)
		err = mount_over(s, &q, above, (__u64)BPF_CORE_READ(m, mnt_mountpoint));
	if (err || !(flags & MNT_DETACH) || (!s && !sealed()))
		return errno_of(err);
	q.leaf = (__u64)m;
	if (!takes_guarded(&q, s ? ~0U : GUARD_PINS | GUARD_PINS_ABOVE))
		return 0;
	return errno_of(s ? refuse_always(s, &q, REASON_GUARD, EPERM) : refuse_sealed(&q));
}

SEC("lsm/sb_pivotroot")
int BPF_PROG(guard_pivotroot, struct path *old_path, struct path *new_path, int ret)
{
	struct query q = {};
	struct subject *s;
	int err;

	if (ret)
		return earlier(ret);
	s = current_subject();
	err = mount_allowed(s, &q);
	if (err)
		return errno_of(err);
	if (!in_reference())
		return 0;
	q.leaf = (__u64)BPF_CORE_READ(new_path, dentry);
	q.access = 0;
	if (!s)
		return sealed() ? errno_of(refuse_sealed(&q)) : 0;
	return errno_of(refuse_always(s, &q, REASON_GUARD, EPERM));
}

SEC("lsm/sb_remount")
int BPF_PROG(guard_remount, struct super_block *sb, void *options, int ret)
{
	struct query q = {};
	struct subject *s;
	int err;

	if (ret)
		return earlier(ret);
	s = current_subject();
	err = mount_allowed(s, &q);
	/* The file systems above the pins are mounted again as the system starts. */
	if (err || (!s && BPF_CORE_READ(sb, s_magic) != BPFFS_MAGIC))
		return errno_of(err);
	return errno_of(mount_over(s, &q, 0, (__u64)BPF_CORE_READ(sb, s_root)));
}

/* A cgroup hierarchy's release agent: the kernel would run it outside the jail. */
SEC("lsm/fs_context_parse_param")
int BPF_PROG(guard_mount_option, struct fs_context *fc, struct fs_parameter *param, int ret)
{
	struct query q = { .op = OP_MOUNT, .granted = ROLE_DEPTH };
	const char agent[] = "release_agent";
	char key[sizeof(agent)] = {};
	struct subject *s;

	if (ret && ret != -ENOPARAM)
		return earlier(ret);
	s = current_subject();
	if (!s)
		return -ENOPARAM; /* the hook's "no opinion" */
	bpf_probe_read_kernel_str(key, sizeof(key), BPF_CORE_READ(param, key));
	if (__builtin_memcmp(key, agent, sizeof(key)))
		return -ENOPARAM;
	return errno_of(refuse_always(s, &q, REASON_GUARD, EPERM));
}

/* ---- the kernel's surface ---- */

enum {
	BPF_TYPE_TRACING = 26,
	BPF_TYPE_EXT = 28,
	BPF_TYPE_LSM = 29,
};

/* Is this object, by kind and id, one of ours? 0, or enum guard_use. */
static __always_inline __u32 is_ours(__u32 kind, __u32 id)
{
	__u64 key = (__u64)kind << 32 | id;
	__u32 *use = bpf_map_lookup_elem(&guarded_objects, &key);

	return use ? *use : 0;
}

static __always_inline int refuse_object(struct subject *s, struct query *q, __u32 value)
{
	q->access = 0;
	q->value = value;
	return refuse_always(s, q, REASON_GUARD, EPERM);
}

/* No `ret`: kernels from 6.18 on have one argument more before it. */
SEC("lsm/bpf")
int guard_bpf(__u64 *ctx)
{
	struct query q = { .op = OP_BPF, .access = ALLOW_BPF, .granted = ROLE_DEPTH };
	struct subject *s = current_subject();
	__u32 cmd = ctx[0], word = 0;
	int err;

	bpf_probe_read_kernel(&word, sizeof(word), (void *)ctx[1]);
	q.leaf = ctx[1];
	err = seal_bpf(&q, cmd);
	if (!err && !s && cmd == BPF_LINK_GET_FD_BY_ID && is_ours(GUARD_LINK, word))
		err = seal_program(&q);
	if (err)
		return errno_of(refuse_sealed(&q));
	if (!s)
		return 0;
	q.value = cmd;
	err = flag_decide(s, &q, EPERM);
	if (err)
		return errno_of(err);
	if (cmd == BPF_LINK_GET_FD_BY_ID && is_ours(GUARD_LINK, word))
		return errno_of(refuse_object(s, &q, cmd));
	/* A rival on our hooks, a replacement of our functions, or their slots filled. */
	if (cmd == BPF_PROG_LOAD &&
	    (word == BPF_TYPE_TRACING || word == BPF_TYPE_EXT || word == BPF_TYPE_LSM))
		return errno_of(refuse_object(s, &q, cmd));
	return 0;
}

SEC("lsm/bpf_map")
int BPF_PROG(guard_bpf_map, struct bpf_map *map, unsigned int mode, int ret)
{
	struct query q = { .op = OP_BPF, .granted = ROLE_DEPTH };
	struct subject *s;
	__u32 use;

	if (ret)
		return earlier(ret);
	use = is_ours(GUARD_MAP, BPF_CORE_READ(map, id));
	if (!use && !is_inner(map))
		return 0;
	s = current_subject();
	if (!s)
		return seal_map(&q, use, mode) ? errno_of(refuse_sealed(&q)) : 0;
	/* The tables of policies are made by our own program. */
	return use ? errno_of(refuse_object(s, &q, BPF_MAP_GET_FD_BY_ID)) : 0;
}

SEC("lsm/bpf_prog")
int BPF_PROG(guard_bpf_prog, struct bpf_prog *prog, int ret)
{
	struct query q = { .op = OP_BPF, .granted = ROLE_DEPTH };
	int ours = is_ours(GUARD_PROGRAM, BPF_CORE_READ(prog, aux, id));
	struct subject *s;
	__u32 type;

	if (ret)
		return earlier(ret);
	type = BPF_CORE_READ(prog, type);
	if (!ours && type <= 63 && !((watching_types >> (type & 63)) & 1))
		return 0;
	s = current_subject();
	if (!s)
		return seal_program(&q) ? errno_of(refuse_sealed(&q)) : 0;
	return ours ? errno_of(refuse_object(s, &q, BPF_PROG_GET_FD_BY_ID)) : 0;
}

static __always_inline int flag_hook(struct subject *s, __u32 op, __u32 flag, __u32 value)
{
	struct query q = { .op = op, .access = flag, .granted = ROLE_DEPTH };

	q.value = value;
	return errno_of(flag_decide(s, &q, EPERM));
}

/* Modules and what else the kernel would run (kexec images, policies); not firmware. */
static __always_inline int reads_code(__u32 id)
{
	struct query q = { .op = OP_MODULE, .access = ALLOW_MODULE_LOAD, .granted = ROLE_DEPTH };
	struct subject *s;

	q.value = id;
	if (seals_code(id))
		return errno_of(refuse_sealed(&q));
	s = current_subject();
	if (!s || id == READING_FIRMWARE)
		return 0;
	return errno_of(flag_decide(s, &q, EPERM));
}

SEC("lsm/kernel_read_file")
int BPF_PROG(guard_read_file, struct file *file, int id, int contents, int ret)
{
	return ret ? earlier(ret) : reads_code(id);
}

SEC("lsm/kernel_load_data")
int BPF_PROG(guard_load_data, int id, int contents, int ret)
{
	return ret ? earlier(ret) : reads_code(id);
}

/* Autoload: modprobe would run outside the jail. */
SEC("lsm/kernel_module_request")
int BPF_PROG(guard_autoload, char *name, int ret)
{
	return ret ? earlier(ret) : reads_code(READING_MODULE);
}

SEC("lsm/userns_create")
int BPF_PROG(guard_userns, const struct cred *cred, int ret)
{
	struct subject *s;
	int err;

	if (ret)
		return earlier(ret);
	s = current_subject();
	err = s ? flag_hook(s, OP_USERNS, ALLOW_USERNS, 0) : 0;
	return err && refuse_fork_later() ? 0 : err; /* see forks.h */
}

/* No arguments and no `ret`: 6.12 dropped one. */
SEC("lsm/perf_event_open")
int guard_perf(__u64 *ctx)
{
	struct subject *s = current_subject();

	return s ? flag_hook(s, OP_PERF, ALLOW_BPF, 0) : 0;
}

SEC("lsm/syslog")
int BPF_PROG(guard_syslog, int type, int ret)
{
	struct query q = { .op = OP_SYSLOG, .value = CAP_SYSLOG, .granted = ROLE_DEPTH };
	struct subject *s;

	if (ret)
		return earlier(ret);
	s = current_subject();
	return s ? errno_of(decide(s, s->depth, &q, capability_verdict, EPERM)) : 0;
}

/* The key that a request to /sbin/request-key is made with: it would run outside. */
SEC("lsm/key_alloc")
int BPF_PROG(guard_keys, struct key *key, const struct cred *cred, unsigned long flags, int ret)
{
	const char request[] = ".request_key_auth";
	char name[sizeof(request)] = {};
	struct subject *s;

	if (ret)
		return earlier(ret);
	s = current_subject();
	if (!s || lent_creds())
		return 0;
	bpf_probe_read_kernel_str(name, sizeof(name), BPF_CORE_READ(key, index_key.type, name));
	if (__builtin_memcmp(name, request, sizeof(name)))
		return 0;
	return flag_hook(s, OP_KEY, ALLOW_KEYS, 0);
}

SEC("lsm/inode_init_security_anon")
int BPF_PROG(guard_anon, struct inode *inode, const struct qstr *name, const struct inode *context,
	     int ret)
{
	const char userfault[] = "[userfaultfd]";
	char buf[sizeof(userfault)] = {};
	struct subject *s;

	/* No earlier verdict: on 6.18 and later a fourth argument stands in its place, and an
	 * earlier refusal ends the chain by itself. */
	s = current_subject();
	if (!s)
		return 0;
	bpf_probe_read_kernel_str(buf, sizeof(buf), BPF_CORE_READ(name, name));
	if (__builtin_memcmp(buf, userfault, sizeof(buf)))
		return 0;
	return flag_hook(s, OP_USERFAULTFD, ALLOW_USERFAULTFD, 0);
}

/* Keystrokes for whoever reads the terminal next; another program as its console. Also
 * who gets a socket's SIGIO: only the caller itself. Global, as guard_inode(). */
__noinline int ioctl_allowed(struct subject *s, struct query *q, __u32 mode, __u32 cmd)
{
	__u32 reason = REASON_REACH;

	if (!s || !q)
		return -EPERM;
	switch (cmd) {
	case TIOCSTI:
	case TIOCLINUX:
	case TIOCCONS:
	case TIOCSETD:
		if ((mode & S_IFMT) != S_IFCHR)
			return 0;
		reason = REASON_GUARD;
		break;
	case FIOSETOWN:
	case SIOCSPGRP:
		break;
	default:
		return 0;
	}
	q->op = OP_IOCTL;
	q->value = cmd;
	return refuse_always(s, q, reason, EPERM);
}

/* Prints who the reader's path descriptors are, as the kernel knows them: stat() tells
 * something else on btrfs and overlayfs. */
SEC("iter/task_file")
int paths_iter(struct bpf_iter__task_file *ctx)
{
	struct path_identity id = {};
	struct task_struct *t = ctx->task;
	struct file *file = ctx->file;

	if (!t || !file || t->tgid != (int)(bpf_get_current_pid_tgid() >> 32) ||
	    !(file->f_flags & O_PATH_FLAG))
		return 0;
	id.fd = ctx->fd;
	id.key.ino = BPF_CORE_READ(file, f_inode, i_ino);
	id.key.generation = BPF_CORE_READ(file, f_inode, i_generation);
	id.key.device = BPF_CORE_READ(file, f_inode, i_sb, s_dev);
	bpf_seq_write(ctx->meta->seq, &id, sizeof(id));
	return 0;
}

/* What an extended attribute's name says. */
enum attribute_name {
	NAMED_OTHER = 0,
	NAMED_MARK = 1,
	NAMED_CAPABILITY = 2,
	NAMED_UNREADABLE = 3,
};

__noinline int attribute_name(__u64 name)
{
	const char capability[] = "security.capability", mark[] = MARK_NAME;
	char held[sizeof(capability)] = {};
	__u32 other = 0;

	if (bpf_probe_read_kernel_str(held, sizeof(held), (void *)name) < 0)
		return NAMED_UNREADABLE;
	for (__u32 i = 0; i < sizeof(mark); i++)
		other |= held[i] ^ mark[i];
	if (!other)
		return NAMED_MARK;
	for (__u32 i = 0; i < sizeof(capability); i++) {
		if (held[i] != capability[i])
			return NAMED_OTHER;
	}
	return NAMED_CAPABILITY;
}

/*
 * The mark of an executable is root's to set and to remove, outside any jail: some
 * kernels let the file's owner. When a stacked filesystem copies a file up, the kernel
 * sets it as the mounter. A seal lets marks come, not go or change. Global, as guard_inode().
 */
__noinline int guard_mark(struct query *q, __u32 appends)
{
	struct task_struct *t = bpf_get_current_task_btf();
	struct member nobody = {};
	__u32 reason = REASON_ENROLL;
	struct subject *s;

	if (!q)
		return -EPERM;
	if (!acting())
		return 0;
	/* Not current_subject(): stack is scarce. */
	if (catch_up() == CAUGHT_NOT)
		return -EPERM;
	s = UNTYPED(t, bpf_storage) ? entry_of(t) : NULL;
	if (s && !s->depth)
		s = NULL;
	q->op = OP_MARK;
	if (sealed() >= SEAL_ROLES && (!appends || sealed() == SEAL_STRICT))
		reason = REASON_SEALED;
	else if (is_root(t) && (!s || borrowed_creds()))
		return 0;
	if (s)
		return refuse_always(s, q, reason, EPERM) ? -EPERM : 0;
	q->reason = reason;
	refuse(NULL, q, &nobody, NULL, EPERM);
	return -EPERM;
}

#endif
