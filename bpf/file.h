/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Files. The path that rules see is the dentry path inside the file's own
 * filesystem, joined to where PID 1 has that filesystem mounted: the start map
 * holds the automaton's state at that point. The caller's mounts, root and
 * namespaces play no part.
 *
 *   file_open   open, creat, O_TMPFILE, exec's opens, io_uring, handles
 */
#ifndef JAIL_FILE_H
#define JAIL_FILE_H

#include "core.h"
#include "guard.h"

/* The kernel's own seqlock over renames; its count is odd while one is under way.
 * Typeless: read by address. */
extern void rename_lock __ksym __weak;

enum {
	MAX_LEVELS = 1024,	/* directory levels that are judged */
	WALK_TRIES = 64,	/* walks that renames elsewhere may spoil */
	RENAME_WAITS = 1 << 20, /* looks at a rename under way: some 20 ms */
	NAME_CHUNK = 64,
	NAME_LIMIT = 255,
	CELLS_PER_PAGE = PAGE_BYTES / 2,
};

static __always_inline __u32 rename_count(void)
{
	__u32 seq = 0;

	if (&rename_lock)
		bpf_probe_read_kernel(&seq, sizeof(seq), &rename_lock);
	return seq;
}

static long rename_pause(__u32 i, __u32 *seq)
{
	*seq = rename_count();
	return !(*seq & 1);
}

/*
 * The count between two renames. Who renames has preemption disabled and is soon done,
 * but takes far longer than a few looks, or very long where a hypervisor runs something
 * else meanwhile: wait as the kernel's own path walks do. Odd: in vain.
 */
static __always_inline __u32 rename_count_settled(void)
{
	__u32 seq = rename_count();

	if (seq & 1)
		bpf_loop(RENAME_WAITS, rename_pause, &seq, 0);
	return seq;
}

/* Run by the loader: 0 when renames can be seen, else why not. */
SEC("syscall")
int probe_renames(void *ctx)
{
	__u32 seq;

	if (!&rename_lock)
		return ENOENT;
	return bpf_probe_read_kernel(&seq, sizeof(seq), &rename_lock) ? EACCES : 0;
}

/* The cell of a policy's tables that starts at a byte offset; NULL: outside. */
static __always_inline void *table_at(void *inner, __u32 offset, __u32 align)
{
	__u32 index = offset / PAGE_BYTES;
	struct page *page;

	page = bpf_map_lookup_elem(inner, &index);
	if (!page)
		return NULL;
	return &page->bytes[offset & (PAGE_BYTES - 1) & ~(align - 1)];
}

/*
 * Feed up to NAME_CHUNK bytes to the automaton, and '/' before them where `slash` is
 * set; name 0 stands for "self". Returns the next state, or -1: the name or a table
 * could not be read. Global, so that the verifier checks it once.
 */
__noinline int file_feed(struct policy *p, __u64 name, __u32 len, __u32 state, __u32 slash)
{
	const char own[] = "self";
	__u8 buf[NAME_CHUNK];
	__u8 *class;
	__u16 *cell;
	void *inner;
	__u32 slot;

	if (!p)
		return -1;
	slot = p->slot;
	inner = bpf_map_lookup_elem(&tables, &slot);
	if (!inner)
		return -1;
	class = table_at(inner, p->file_class_at, 256);
	if (!class)
		return -1;
	if (slash) {
		cell = table_at(inner, p->file_next_at + (state * p->file_classes + class['/']) * 2,
				2);
		if (!cell)
			return -1;
		state = *cell;
	}
	if (!name) {
		len = sizeof(own) - 1;
		__builtin_memcpy(buf, own, sizeof(own));
	} else {
		opaque(len);
		if (len > NAME_CHUNK)
			len = NAME_CHUNK;
		if (bpf_probe_read_kernel(buf, len, (void *)name))
			return -1;
	}
	for (__u32 i = 0; i < NAME_CHUNK; i++) {
		if (i >= len)
			break;
		cell = table_at(inner,
				p->file_next_at + (state * p->file_classes + class[buf[i]]) * 2, 2);
		if (!cell)
			return -1;
		state = *cell;
	}
	return state;
}

/* Reads one level at a raw address and moves up. Returns 1 at the filesystem's root. */
static __always_inline int climb_raw(__u64 *at, __u64 *name, __u32 *len)
{
	struct dentry *d = (struct dentry *)*at, *parent;

	parent = BPF_CORE_READ(d, d_parent);
	if (!parent || parent == d)
		return 1;
	*name = (__u64)BPF_CORE_READ(d, d_name.name);
	*len = BPF_CORE_READ(d, d_name.len);
	*at = (__u64)parent;
	return 0;
}

struct climb {
	__u64 at;
	struct walk *walk;
	__u32 levels;
	__u32 pad;
	__u64 top; /* the dentry below the root, once the root is reached */
};

/* The index comes from the kernel: a count of our own would be a new state for the
 * verifier at each turn. */
static long climb_one(__u32 i, struct climb *c)
{
	struct walk *w = c->walk;
	__u32 slot = i & (WALK_LEVELS - 1);
	__u64 below = c->at;

	if (climb_raw(&c->at, &w->name[slot], &w->len[slot]))
		return 1;
	c->top = below;
	c->levels = i + 1;
	return 0;
}

/*
 * Store the topmost names of the path from dentry `leaf` up to `limit` levels above
 * it. Returns how many levels were climbed, the root ending it.
 */
static __always_inline __u32 climb(struct walk *w, __u64 leaf, __u32 limit)
{
	struct climb c = { .at = leaf, .walk = w };

	bpf_loop(limit, climb_one, &c, 0);
	return c.levels;
}

struct feed {
	struct walk *walk;
	struct policy *policy;
	__u32 next; /* levels left to feed */
	__u32 low;  /* feed down to here */
	int state;
};

static long feed_one(__u32 i, struct feed *f)
{
	__u32 slot, len;
	__u64 name;

	if (f->next <= f->low)
		return 1;
	f->next--;
	slot = f->next & (WALK_LEVELS - 1);
	name = f->walk->name[slot];
	len = f->walk->len[slot];
	if (len > NAME_LIMIT) {
		f->state = -1;
		return 1;
	}
	f->state = file_feed(f->policy, name, len, f->state, 1);
	for (__u32 done = NAME_CHUNK; done < NAME_LIMIT; done += NAME_CHUNK) {
		if (!name || done >= len || f->state < 0)
			break;
		f->state = file_feed(f->policy, name + done, len - done, f->state, 0);
	}
	return f->state < 0;
}

/*
 * Is what the query asks among what is open? The command that `jail run` starts is
 * the one exec that the roles it enters get, unless a rule denies that very file.
 */
static __always_inline int file_allows(struct query *q, __u32 open)
{
	if (q->member >= q->granted)
		return open != 0;
	open &= q->access;
	return q->alternative ? open != 0 : open == q->access;
}

/* The topmost dentry on procfs is the directory of the subject's own process. */
static __always_inline __u32 is_own_proc(__u64 dentry)
{
	struct task_struct *t = bpf_get_current_task_btf();
	struct dentry *d = (struct dentry *)dentry;
	struct inode *inode = BPF_CORE_READ(d, d_inode);
	struct proc_inode *proc;

	if (!inode)
		return 0;
	proc = (void *)inode - bpf_core_field_offset(struct proc_inode, vfs_inode);
	return BPF_CORE_READ(proc, pid) == BPF_CORE_READ(t, group_leader, thread_pid);
}

/* The access that the role's flags give where no rule matches. */
static __always_inline int file_flags(const struct policy *p, struct query *q)
{
	__u32 open = 0;

	if (q->member >= q->granted)
		return 1;
	if (p->flags & ALLOW_FILE_ACCESS)
		open |= ACCESS_READ | ACCESS_WRITE | ACCESS_MAP;
	if (p->flags & ALLOW_EXEC)
		open |= ACCESS_EXEC;
	return file_allows(q, open);
}

/* The filesystem's root in this policy's automaton; STATE_NOWHERE: not mounted for PID 1. */
static __always_inline __u32 start_state(const struct policy *p, const struct walk *w)
{
	struct start_key key = { .policy_id = p->id,
				 .kind = p->starts + START_DEVICE,
				 .value = w->device };
	__u32 *state;

	state = bpf_map_lookup_elem(&starts, &key);
	if (!state) {
		key.kind = p->starts + START_MAGIC;
		key.value = w->magic;
		state = bpf_map_lookup_elem(&starts, &key);
	}
	return state ? *state : STATE_NOWHERE;
}

/* One stretch of the walk: WALK_LEVELS names, from the top. */
struct stretch {
	struct walk *walk;
	struct policy *policy;
	__u64 leaf;
	__u32 left; /* levels not fed yet */
	int state;
};

static long feed_stretch(__u32 i, struct stretch *t)
{
	struct feed f = {
		.walk = t->walk, .policy = t->policy, .next = t->left, .state = t->state
	};

	if (!t->left)
		return 1;
	/* The window holds the topmost names only: climb again for what is below. */
	if (i && climb(t->walk, t->leaf, t->left) != t->left) {
		t->state = -1;
		return 1;
	}
	if (t->left > WALK_LEVELS)
		f.low = t->left - WALK_LEVELS;
	if (t->walk->own_pid && !i)
		t->walk->name[(t->left - 1) & (WALK_LEVELS - 1)] = 0;
	bpf_loop(WALK_LEVELS, feed_one, &f, 0);
	t->state = f.state;
	t->left = f.low;
	return t->state < 0;
}

/*
 * The state after the path of `leaf`, which file_locate() has climbed, from the state at
 * its filesystem's root. -1: a name or a table could not be read.
 */
__noinline int file_walk(struct walk *w, struct policy *p, __u64 leaf)
{
	struct stretch t = { .walk = w, .policy = p, .leaf = leaf };

	if (!w || !p)
		return -1;
	t.left = w->levels;
	t.state = start_state(p, w);
	bpf_loop(MAX_LEVELS / WALK_LEVELS, feed_stretch, &t, 0);
	return t.left ? -1 : t.state;
}

/* Does the automaton's state grant the query's access, or else the role's flags? */
static __always_inline int accept(const struct policy *p, struct query *q, void *inner, __u32 state)
{
	__u32 *word = table_at(inner, p->file_accept_at + state * 4, 4);

	if (!word) {
		q->reason = REASON_UNREADABLE;
		return 0;
	}
	if (state == STATE_NOWHERE) {
		q->reason = REASON_NOWHERE;
		return 0;
	}
	if (!(*word & ACCESS_MATCHED))
		return file_flags(p, q);
	q->rule = *word >> 8;
	return file_allows(q, *word & ACCESS_ANY);
}

/* Where the file is: the names above it and its filesystem. 0, or an enum reason. */
__noinline int file_locate(struct walk *w, __u64 leaf)
{
	struct dentry *d = (struct dentry *)leaf;
	struct climb c = { .at = leaf, .walk = w };
	struct super_block *sb;

	if (!w)
		return REASON_UNREADABLE;
	sb = BPF_CORE_READ(d, d_sb);
	w->device = BPF_CORE_READ(sb, s_dev);
	w->magic = BPF_CORE_READ(sb, s_magic);
	w->own_pid = 0;
	w->levels = 0;
	if (leaf == (__u64)BPF_CORE_READ(sb, s_root))
		return REASON_RULE;
	if (!BPF_CORE_READ(d, d_hash.pprev))
		return REASON_DELETED;
	bpf_loop(MAX_LEVELS, climb_one, &c, 0);
	w->levels = c.levels;
	if (c.levels >= MAX_LEVELS)
		return REASON_TOO_DEEP;
	if (c.at != (__u64)BPF_CORE_READ(sb, s_root))
		return REASON_DETACHED;
	if (w->magic == PROC_SUPER_MAGIC)
		w->own_pid = is_own_proc(c.top);
	return REASON_RULE;
}

/* The state of the file whose dentry is q->leaf; -1 and q->reason: it cannot be told. */
static __always_inline int file_state(struct walk *w, struct policy *p, struct query *q)
{
	q->located = 0;
	for (__u32 i = 0; i < WALK_TRIES; i++) {
		__u32 seq = rename_count_settled();
		int state = -1;

		if (seq & 1)
			continue;
		q->reason = file_locate(w, q->leaf);
		if (q->reason == REASON_RULE) {
			state = file_walk(w, p, q->leaf);
			if (state < 0)
				q->reason = REASON_UNREADABLE;
		}
		if (rename_count() == seq) {
			q->located =
				q->reason == REASON_RULE && w->levels <= WALK_LEVELS && !w->own_pid;
			return state;
		}
	}
	q->reason = REASON_RACE;
	return -1;
}

/* Verdict for the file whose dentry is q->leaf. Global: verified once, not per role. */
__noinline int file_verdict(struct subject *s, struct policy *p, struct query *q)
{
	__u32 slot, *known;
	void *inner;
	int state;

	if (!s || !p || !q)
		return 0;
	if (!p->file_states || q->pathless)
		return file_flags(p, q);
	slot = p->slot;
	inner = bpf_map_lookup_elem(&tables, &slot);
	if (!inner) {
		q->reason = REASON_UNREADABLE;
		return 0;
	}
	if (q->chardev) {
		struct start_key key = { .policy_id = p->id,
					 .kind = START_CHARDEV,
					 .value = q->chardev };

		known = bpf_map_lookup_elem(&starts, &key);
		if (known)
			return accept(p, q, inner, *known);
	}
	state = file_state(&s->walk, p, q);
	return state < 0 ? 0 : accept(p, q, inner, state);
}

struct spell {
	struct walk *walk;
	struct event *event;
	__u32 next; /* levels left to write */
	__u32 at;   /* bytes written */
};

/* Appends "/" and a name. */
static long spell_one(__u32 i, struct spell *p)
{
	__u32 slot, len, at = p->at;

	if (!p->next)
		return 1;
	p->next--;
	slot = p->next & (WALK_LEVELS - 1);
	len = p->walk->len[slot];
	opaque(at);
	opaque(len);
	if (len > NAME_LIMIT || at + len >= PATH_SIZE) {
		p->event->path_cut = 1;
		return 1;
	}
	p->event->path[at & (PATH_SIZE - 1)] = '/';
	at++;
	len &= NAME_LIMIT;
	if (bpf_probe_read_kernel(&p->event->path[at & (PATH_SIZE - 1)], len,
				  (void *)p->walk->name[slot]))
		return 1;
	p->at = at + len;
	return 0;
}

__noinline int file_path(struct walk *w, struct event *e, __u64 leaf, __u32 located)
{
	struct spell p = { .walk = w, .event = e };

	if (!w || !e)
		return 0;
	if (!located)
		file_locate(w, leaf);
	e->device = w->device;
	p.next = w->levels;
	bpf_loop(WALK_LEVELS, spell_one, &p, 0);
	if (p.next)
		e->path_cut = 1;
	e->path_len = p.at;
	if (!p.at && !e->path_cut) {
		e->path[0] = '/';
		e->path_len = 1;
	}
	return 0;
}

/* Judge a dentry for the first `depth` roles of the list. */
static __always_inline int file_decide(struct subject *s, __u32 depth, struct query *q,
				       struct dentry *dentry)
{
	struct inode *inode = BPF_CORE_READ(dentry, d_inode);

	q->leaf = (__u64)dentry;
	if (inode && (BPF_CORE_READ(inode, i_mode) & S_IFMT) == S_IFCHR)
		q->chardev = BPF_CORE_READ(inode, i_rdev);
	return decide(s, depth, q, file_verdict, EACCES);
}

/* Kernel-internal files (pipes, sockets, memfd, anonymous inodes) have no path. */
static __always_inline int pathless(struct dentry *dentry)
{
	return (BPF_CORE_READ(dentry, d_sb, s_flags) & SB_NOUSER) != 0;
}

SEC("lsm/file_open")
int BPF_PROG(file_open, struct file *file, int ret)
{
	struct query q = { .op = OP_OPEN, .granted = ROLE_DEPTH };
	struct dentry *dentry;
	struct subject *s;
	__u32 depth, wanted = ACCESS_READ;
	int err;

	if (ret)
		return earlier(ret);
	s = current_subject_or_staged();
	if (!s)
		return 0;
	dentry = file->f_path.dentry;
	/* Also on the lower layers of an overlay. */
	if ((file->f_mode & FMODE_WRITE) || (file->f_flags & (O_TRUNC | O_TMPFILE_FLAG)))
		wanted = ACCESS_WRITE;
	err = guard_file(s, &q, dentry, wanted);
	if (err)
		return errno_of(err);
	q.op = OP_OPEN;
	q.access = 0;
	q.value = 0;
	q.leaf = 0;
	/* The lower file of a stacked filesystem, opened by the kernel as the mounter:
	 * the upper open was judged. */
	if ((file->f_mode & FMODE_BACKING) && borrowed_creds())
		return 0;
	if (pathless(dentry))
		return 0;
	depth = s->depth;
	if (file->f_flags & FMODE_EXEC_FLAG) {
		/* The program, a script's interpreter (judged again by bprm_check) or the
		 * ELF interpreter: under the roles that this exec enters. */
		q.access = ACCESS_EXEC | ACCESS_MAP;
		q.alternative = 1;
		if (s->staged) {
			q.granted = depth;
			depth = s->staged;
		}
	} else {
		if (file->f_mode & FMODE_READ)
			q.access |= ACCESS_READ;
		if ((file->f_mode & FMODE_WRITE) || (file->f_flags & O_TRUNC))
			q.access |= ACCESS_WRITE;
		if (!q.access)
			q.access = ACCESS_READ;
	}
	if (file->f_flags & O_TMPFILE_FLAG) {
		/* Nameless until it is linked: judged as a change of its directory. */
		dentry = dentry->d_parent;
		q.access |= ACCESS_WRITE;
	}
	return file_decide(s, depth, &q, dentry);
}

#endif
