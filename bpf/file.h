/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Files. The path that rules see is the dentry path inside the file's own
 * filesystem, joined to where PID 1 has that filesystem mounted: the start map
 * holds the automaton's state at that point. The caller's mounts, root and
 * namespaces play no part.
 *
 *   file_open      open, creat, O_TMPFILE, exec's opens, io_uring, handles
 *   path_mknod, path_mkdir, path_symlink, path_unlink, path_rmdir
 *   path_link, path_rename   also: the new name must not grant more than the old one
 *   path_truncate, path_chmod, path_chown
 *   inode_setattr  utimes
 *   inode_setxattr, inode_removexattr, inode_set_acl, inode_remove_acl (6.2)
 *   inode_file_setattr (6.17), file_ioctl, file_ioctl_compat   chattr and the like
 *   file_receive   descriptors from another process (the program is in net.h)
 *   uring_override_creds
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
	NAME_LIMIT = 255,
	SHORT_PATH = 8,
	FEED_BYTES = 32,
	FEEDS = (NAME_LIMIT + FEED_BYTES) / FEED_BYTES, /* turns that '/' and a name need */
	CELLS_PER_PAGE = PAGE_BYTES / 2,
	STAMP_SHIFT = 14, /* jiffies that what is known of a directory lasts: 16 to 164 s */
	UNKNOWN = 2,
};

static __always_inline __u32 rename_count(void)
{
	struct seqcount *lock = (struct seqcount *)&rename_lock;

	return lock ? PEEK(lock, sequence) : 0;
}

static long rename_pause(__u32 i, __u32 *seq)
{
	*seq = rename_count();
	return !(*seq & 1);
}

/*
 * The count between two renames. Who renames has preemption disabled and is soon done,
 * but takes far longer than a few looks, or very long where a hypervisor runs something
 * else meanwhile: wait as the kernel's own path walks do. Odd: in vain. Global: its stack is
 * not under that of the walk.
 */
__noinline __u32 rename_count_settled(void)
{
	__u32 seq = rename_count();

	if (seq & 1)
		bpf_loop(RENAME_WAITS, rename_pause, &seq, 0);
	return seq;
}

/* Run by the loader before it loads anything else: where rename_lock is. To look for it in
 * /proc/kallsyms has the kernel print all of its symbols. */
SEC("syscall")
int find_renames(__u64 *at)
{
	static const char name[] = "rename_lock";
	__u64 address = 0;
	long err = bpf_kallsyms_lookup_name(name, sizeof(name), 0, &address);

	*at = address;
	return err;
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

static long towards_init(__u32 i, __u64 *task)
{
	struct task_struct *t = (struct task_struct *)*task;

	if (BPF_CORE_READ(t, tgid) == 1)
		return 1;
	*task = (__u64)BPF_CORE_READ(t, real_parent);
	return !*task;
}

/* Run by the loader: gives it mounts_now(), and lets the others have it. */
SEC("syscall")
int mounts_count(__u64 *count)
{
	struct control *c = get_control();
	__u64 task = bpf_get_current_task();

	if (!c)
		return ENOENT;
	if (!c->init) {
		bpf_loop(MAX_LEVELS, towards_init, &task, 0);
		if (!task || BPF_CORE_READ((struct task_struct *)task, tgid) != 1)
			return ENOENT;
		c->init = task; /* it lives as long as the kernel */
	}
	*count = mounts_now(c);
	return 0;
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
 * Feed the automaton FEED_BYTES of the walk's text, `from` a multiple of that. Returns the
 * next state, or -1: a table could not be read. Global, so that the verifier checks it
 * once, and short, as it checks each turn of such a loop.
 */
__noinline int file_feed(struct walk *w, struct policy *p, __u32 from, __u32 end, __u32 state)
{
	__u32 key, index;
	struct page *page = NULL;
	__u8 *class, *text;
	void *inner;

	if (!w || !p)
		return -1;
	text = &w->text[from & (NAME_LIMIT + 1 - FEED_BYTES)];
	end -= from;
	key = p->slot;
	inner = bpf_map_lookup_elem(&tables, &key);
	if (!inner)
		return -1;
	class = table_at(inner, p->file_class_at, 256);
	if (!class)
		return -1;
	for (__u32 i = 0; i < FEED_BYTES; i++) {
		__u32 at;

		if (i >= end)
			break;
		at = p->file_next_at + (state * p->file_classes + class[text[i]]) * 2;
		index = at / PAGE_BYTES;
		if (!page || index != key) {
			key = index;
			page = bpf_map_lookup_elem(inner, &key);
		}
		if (!page)
			return -1;
		state = *(__u16 *)&page->bytes[at & (PAGE_BYTES - 2)];
	}
	return state;
}

/* Reads one level at a raw address and moves up. Returns 1 at the filesystem's root. */
static __always_inline int climb_raw(__u64 *at, __u64 *name, __u32 *len)
{
	struct dentry *d = (struct dentry *)*at, *parent;

	parent = PEEK(d, d_parent);
	if (!parent || parent == d)
		return 1;
	*name = (__u64)PEEK(d, d_name.name);
	*len = PEEK(d, d_name.len);
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

/* The names of a path on their way into the automaton, from the top. */
struct feed {
	struct walk *walk;
	struct policy *policy;
	__u64 leaf;
	__u32 left; /* levels not begun yet */
	int state;
	__u32 at, end;	 /* of the one in the walk's text */
	__u32 before[2]; /* the states before the last name, and before the one above it */
};

/* '/' and the next name into the walk's text; 0: it could not be read. */
static __always_inline int feed_name(struct feed *f)
{
	struct walk *w = f->walk;
	__u32 fed = w->levels - f->left, slot, len;

	/* The window holds WALK_LEVELS names: climb again for those below. */
	if (fed && !(fed & (WALK_LEVELS - 1)) && climb(w, f->leaf, f->left) != f->left)
		return 0;
	f->left--;
	f->at = 0;
	f->before[1] = f->before[0];
	f->before[0] = f->state;
	w->text[0] = '/';
	if (!fed && w->own_pid) {
		__builtin_memcpy(w->text, "/self", 5);
		f->end = 5;
		return 1;
	}
	slot = f->left & (WALK_LEVELS - 1);
	len = w->len[slot];
	opaque(len);
	if (len > NAME_LIMIT || bpf_probe_read_kernel(w->text + 1, len, (void *)w->name[slot]))
		return 0;
	f->end = len + 1;
	return 1;
}

static long feed_one(__u32 i, struct feed *f)
{
	if (f->at >= f->end) {
		if (!f->left)
			return 1;
		if (!feed_name(f)) {
			f->state = -1;
			return 1;
		}
	}
	f->state = file_feed(f->walk, f->policy, f->at, f->end, f->state);
	f->at += FEED_BYTES;
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
static __always_inline __u32 flag_access(const struct policy *p)
{
	__u32 open = 0;

	if (p->flags & ALLOW_FILE_ACCESS)
		open |= ACCESS_READ | ACCESS_WRITE | ACCESS_MAP;
	if (p->flags & ALLOW_EXEC)
		open |= ACCESS_EXEC;
	return open;
}

static __always_inline int file_flags(const struct policy *p, struct query *q)
{
	if (q->member >= q->granted)
		return 1;
	return file_allows(q, flag_access(p));
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

/*
 * The state after the path of `leaf`, which file_locate() has climbed, from the state at
 * its filesystem's root, and from bit 16 and 32 on those of the two directories above. -1: a
 * name or a table could not be read.
 */
__noinline long file_walk(struct walk *w, struct policy *p, __u64 leaf)
{
	struct feed f = { .walk = w, .policy = p, .leaf = leaf };

	if (!w || !p)
		return -1;
	f.left = w->levels;
	f.state = start_state(p, w);
	bpf_loop(MAX_LEVELS * FEEDS, feed_one, &f, 0);
	if (f.left || f.at < f.end || f.state < 0)
		return -1;
	return (__u64)f.state | (__u64)(__u16)f.before[0] << 16 | (__u64)(__u16)f.before[1] << 32;
}

/* The state after one dentry's name, and a '/' behind it. -1: a name or a table could not
 * be read. */
__noinline int file_name(struct walk *w, struct policy *p, __u64 *at, __u32 slash, int state)
{
	struct dentry *d;
	__u32 len, end;

	if (!w || !p || !at)
		return -1;
	d = (struct dentry *)*at;
	len = PEEK(d, d_name.len);
	opaque(len);
	if (len > NAME_LIMIT || bpf_probe_read_kernel(w->text, len, (void *)PEEK(d, d_name.name)))
		return -1;
	end = len;
	if (slash) {
		w->text[len] = '/';
		end++;
	}
	for (__u32 from = 0; from < FEEDS * FEED_BYTES; from += FEED_BYTES) {
		if (from >= end || state < 0)
			break;
		state = file_feed(w, p, from, end, state);
	}
	return state;
}

/* Does what the tables say of a state grant the query's access, or else the role's flags? */
static __always_inline int accept_word(const struct policy *p, struct query *q, __u32 word)
{
	if (!(word & ACCESS_MATCHED))
		return file_flags(p, q);
	q->rule = word >> 8;
	return file_allows(q, word & ACCESS_ANY);
}

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
	return accept_word(p, q, *word);
}

static long folded_one(__u32 i, struct climb *c)
{
	struct dentry *d = (struct dentry *)c->at;

	if (BPF_CORE_READ(d, d_inode, i_flags) & S_CASEFOLD) {
		c->levels = 1;
		return 1;
	}
	c->at = (__u64)BPF_CORE_READ(d, d_parent);
	return c->at == (__u64)d;
}

/*
 * Does the filesystem take other spellings for this path? A dentry has the name as it
 * was looked up, so that a rule for one spelling would not see the others.
 */
static __always_inline int folded(struct dentry *d, __u32 magic)
{
	struct climb c = { .at = (__u64)d };
	struct dentry *parent = PEEK(d, d_parent);

	if (!((PEEK(d, d_flags) | PEEK(parent, d_flags)) & DCACHE_OP_COMPARE) ||
	    magic == PROC_SUPER_MAGIC)
		return 0;
	/* These fold in directories that were set up for it only. */
	if (magic != EXT4_SUPER_MAGIC && magic != F2FS_SUPER_MAGIC && magic != TMPFS_MAGIC)
		return 1;
	bpf_loop(MAX_LEVELS, folded_one, &c, 0);
	return c.levels;
}

/* Where the file is: the names above it and its filesystem. 0, or an enum reason. */
__noinline int file_locate(struct walk *w, __u64 leaf)
{
	struct dentry *d = (struct dentry *)leaf;
	struct climb c = { .at = leaf, .walk = w };
	struct super_block *sb;

	if (!w)
		return REASON_UNREADABLE;
	sb = PEEK(d, d_sb);
	w->device = PEEK(sb, s_dev);
	w->magic = PEEK(sb, s_magic);
	w->own_pid = 0;
	w->levels = 0;
	if (leaf == (__u64)PEEK(sb, s_root))
		return REASON_RULE;
	/* A name that is being created may be in no hash yet, and has no inode. */
	if (!PEEK(d, d_hash.pprev) && PEEK(d, d_inode))
		return REASON_DELETED;
	if (folded(d, w->magic))
		return REASON_FOLDED;
	bpf_loop(MAX_LEVELS, climb_one, &c, 0);
	w->levels = c.levels;
	if (c.levels >= MAX_LEVELS)
		return REASON_TOO_DEEP;
	if (c.at != (__u64)PEEK(sb, s_root))
		return REASON_DETACHED;
	if (w->magic == PROC_SUPER_MAGIC)
		w->own_pid = is_own_proc(c.top);
	return REASON_RULE;
}

/*
 * What is known of directories: the state of a policy's automaton after their path, kept
 * with the directory's inode. It holds while nothing was renamed anywhere, no start state of
 * a policy has changed, and for some seconds: the kernel's count of renames has 32 bits, and
 * who makes it come round needs longer.
 */
static __always_inline __u64 rename_stamp(__u32 seq)
{
	return (__u64)seq << 32 | (__u32)(bpf_jiffies64() >> STAMP_SHIFT);
}

#define ONCE(x) (*(volatile typeof(x) *)&(x))

/* What is known of the directory at `parent`: its state and word. Returns the levels of what
 * is in it; 0: nothing is known. */
static __always_inline int recall(struct directory *dir, const struct policy *p, __u64 parent,
				  __u64 renames, __u64 generation, __u32 *state, __u32 *word)
{
	struct known *k = &dir->known[p->id & (KNOWN - 1)];
	__u32 levels, turn = ONCE(k->turn);

	if ((turn & 1) || ONCE(k->policy) != p->id || ONCE(k->dentry) != parent ||
	    ONCE(k->renames) != renames || ONCE(k->generation) != generation)
		return 0;
	*state = ONCE(k->state);
	*word = ONCE(k->word);
	levels = ONCE(k->levels);
	return ONCE(k->turn) == turn ? levels + 1 : 0;
}

/* Writes down what is known of it. Whoever comes second lets it be. */
static __always_inline void remember(struct directory *dir, const struct policy *p, __u64 parent,
				     __u64 renames, __u64 generation, __u32 state, __u32 word,
				     __u32 levels)
{
	struct known *k = &dir->known[p->id & (KNOWN - 1)];
	__u32 turn = ONCE(k->turn);

	if ((turn & 1) || __sync_val_compare_and_swap(&k->turn, turn, turn + 1) != turn)
		return;
	ONCE(k->policy) = p->id;
	ONCE(k->dentry) = parent;
	ONCE(k->renames) = renames;
	ONCE(k->generation) = generation;
	ONCE(k->state) = state;
	ONCE(k->word) = word;
	ONCE(k->levels) = levels;
	__sync_fetch_and_add(&k->turn, 1);
}

/*
 * Does the path of what is in this directory change by renames only, and mean the same to
 * all? Where the filesystem looks names up again (FUSE, NFS, procfs) it may not, nor where
 * it takes other spellings.
 */
static __always_inline int keeps(struct dentry *parent)
{
	struct super_block *sb = PEEK(parent, d_sb);

	return !(PEEK(parent, d_flags) & (DCACHE_OP_COMPARE | DCACHE_OP_REVALIDATE)) &&
	       PEEK(sb, s_magic) != PROC_SUPER_MAGIC;
}

/* Its own name counts, and is the only one: see file_locate(). */
static __always_inline int named(struct dentry *d)
{
	return !(PEEK(d, d_flags) & DCACHE_OP_COMPARE) &&
	       (PEEK(d, d_hash.pprev) || !PEEK(d, d_inode));
}

/* Verdict by what is known of the directory that q->leaf is in; UNKNOWN: it does not tell. */
__noinline int file_known(struct subject *s, struct policy *p, struct query *q,
			  struct directory *dir)
{
	struct control *c = get_control();
	struct dentry *d, *parent;
	__u32 slot, state, word;
	int after = 0;
	void *inner;
	__u32 seq = rename_count();

	if (!s || !p || !q || !dir || !c || (seq & 1) || q->chardev)
		return UNKNOWN;
	d = (struct dentry *)q->leaf;
	parent = PEEK(d, d_parent);
	if (parent == d ||
	    !recall(dir, p, (__u64)parent, rename_stamp(seq), ONCE(c->generation), &state, &word))
		return UNKNOWN;
	if (!named(d))
		return UNKNOWN;
	if (!(word & ACCESS_SETTLED)) {
		after = file_name(&s->walk, p, &q->leaf, 0, state);
		if (after < 0)
			return UNKNOWN;
	}
	if (rename_count() != seq)
		return UNKNOWN;
	q->located = 0;
	if (word & ACCESS_SETTLED)
		return accept_word(p, q, word);
	slot = p->slot;
	inner = bpf_map_lookup_elem(&tables, &slot);
	return inner ? accept(p, q, inner, after) : UNKNOWN;
}

struct locate {
	struct walk *walk;
	struct policy *policy;
	struct query *query;
};

/* One try; 1: no rename came in between. What it finds is in the walk: stack is scarce. */
static long locate_one(__u32 i, struct locate *l)
{
	struct query *q = l->query;
	struct walk *w = l->walk;
	struct control *c = get_control();
	__u32 seq = rename_count_settled();

	w->states = -1;
	q->reason = REASON_RACE;
	if (seq & 1)
		return 0;
	w->renames = rename_stamp(seq);
	w->generation = c ? ONCE(c->generation) : 1;
	q->reason = file_locate(w, q->leaf);
	if (q->reason == REASON_RULE) {
		w->states = file_walk(w, l->policy, q->leaf);
		if (w->states < 0)
			q->reason = REASON_UNREADABLE;
	}
	if (rename_count() != seq) {
		w->states = -1;
		q->reason = REASON_RACE;
		return 0;
	}
	q->located = q->reason == REASON_RULE && w->levels <= WALK_LEVELS && !w->own_pid;
	return 1;
}

/* The state of the file whose dentry is q->leaf; -1 and q->reason: it cannot be told. */
static __always_inline int file_state(struct walk *w, struct policy *p, struct query *q)
{
	struct locate l = { .walk = w, .policy = p, .query = q };

	q->located = 0;
	w->states = -1;
	bpf_loop(WALK_TRIES, locate_one, &l, 0);
	return w->states < 0 ? -1 : w->states & 0xffff;
}

/* What a verdict leaves behind in the query, so that directories can be known by it. */
enum found {
	FOUND_ABOVE = 16,  /* q->from, from this bit on: the state of the leaf's directory */
	FOUND_TWO = 32,	   /* and that of the one above it; 0: not found */
	FOUND_SLASH = 48,  /* bit: the first is that after a '/', too */
	FOUND_LEVELS = 49, /* of the leaf's path */
};

/* Notes it: q->to says what it holds for, 0: for nothing. */
static __always_inline void note(struct query *q, __u64 states, __u64 renames, __u64 generation)
{
	q->from = states;
	q->to = generation & 1 ? 0 : renames;
	q->generation = generation;
}

/* Keeps the state of the directory that q->leaf is in, or (`two`) of the one above it. */
__noinline int file_learn(struct subject *s, struct policy *p, struct query *q,
			  struct directory *dir, __u32 two)
{
	struct dentry *d;
	__u32 slot, *word;
	void *inner;
	int state;

	if (!s || !p || !q || !dir || q->to >> 32 != q->seq)
		return 0;
	state = (q->from >> (two ? FOUND_TWO : FOUND_ABOVE)) & 0xffff;
	slot = p->slot;
	inner = bpf_map_lookup_elem(&tables, &slot);
	if (!inner || state == STATE_NOWHERE)
		return 0;
	d = (struct dentry *)q->leaf;
	d = PEEK(d, d_parent);
	if (two)
		d = PEEK(d, d_parent);
	if (!keeps(d))
		return 0;
	if (two || !(q->from & 1UL << FOUND_SLASH)) {
		s->walk.text[0] = '/';
		state = file_feed(&s->walk, p, 0, 1, state);
		if (state < 0)
			return 0;
	}
	word = table_at(inner, p->file_accept_at + state * 4, 4);
	if (!word)
		return 0;
	remember(dir, p, (__u64)d, q->to, q->generation, state, *word,
		 (q->from >> FOUND_LEVELS) - 1 - two);
	ONCE(dir->renames) = q->to;
	return 0;
}

/* Verdict by what is known of the directory above the one that q->leaf is in; UNKNOWN: it
 * does not tell. */
__noinline int file_near(struct subject *s, struct policy *p, struct query *q, struct directory *up)
{
	struct control *c = get_control();
	struct dentry *d, *above;
	__u32 slot, state, word, levels, seq = rename_count();
	__u64 parent, generation;
	int first, last;
	void *inner;

	if (!s || !p || !q || !up || !c || (seq & 1) || q->chardev)
		return UNKNOWN;
	generation = ONCE(c->generation);
	d = (struct dentry *)q->leaf;
	if (!named(d))
		return UNKNOWN;
	d = PEEK(d, d_parent);
	above = PEEK(d, d_parent);
	if (above == d || (__u64)d == q->leaf)
		return UNKNOWN;
	levels = recall(up, p, (__u64)above, rename_stamp(seq), generation, &state, &word);
	if (!levels || levels + 1 >= MAX_LEVELS)
		return UNKNOWN;
	parent = (__u64)d;
	first = last = state;
	if (!(word & ACCESS_SETTLED)) {
		first = file_name(&s->walk, p, &parent, 1, state);
		if (first < 0)
			return UNKNOWN;
		last = file_name(&s->walk, p, &q->leaf, 0, first);
		if (last < 0)
			return UNKNOWN;
	}
	if (rename_count() != seq)
		return UNKNOWN;
	note(q, (__u64)first << FOUND_ABOVE | 1UL << FOUND_SLASH | (levels + 1UL) << FOUND_LEVELS,
	     rename_stamp(seq), generation);
	q->located = 0;
	slot = p->slot;
	inner = bpf_map_lookup_elem(&tables, &slot);
	return inner ? accept(p, q, inner, last) : UNKNOWN;
}

/* The state that the policy has for the character device q->chardev; -1: none. Global: its
 * stack is not under that of the walk. */
__noinline int device_state(struct policy *p, struct query *q)
{
	struct start_key key = {};
	__u32 *state;

	if (!p || !q || !q->chardev)
		return -1;
	key.policy_id = p->id;
	key.kind = START_CHARDEV;
	key.value = q->chardev;
	state = bpf_map_lookup_elem(&starts, &key);
	return state ? (int)*state : -1;
}

/* Verdict of a policy with rules for the file whose dentry is q->leaf, by its whole path.
 * Global: verified once. */
__noinline int file_verdict(struct subject *s, struct policy *p, struct query *q)
{
	__u32 slot, levels;
	struct walk *w;
	void *inner;
	int state;

	if (!s || !p || !q)
		return 0;
	slot = p->slot;
	inner = bpf_map_lookup_elem(&tables, &slot);
	if (!inner) {
		q->reason = REASON_UNREADABLE;
		return 0;
	}
	state = device_state(p, q);
	if (state >= 0)
		return accept(p, q, inner, state);
	w = &s->walk;
	state = file_state(w, p, q);
	if (state < 0)
		return 0;
	levels = w->levels;
	if (levels)
		note(q, (levels > 1 ? w->states : (__u32)w->states) | (__u64)levels << FOUND_LEVELS,
		     w->renames, w->generation);
	return accept(p, q, inner, state);
}

/*
 * One role's verdict, by what is known of the directories, and for the next time. Where there
 * is none of them the functions say so: the verifier has less to tell apart.
 */
static __always_inline int file_verdict_in(struct subject *s, struct policy *p, struct query *q,
					   struct directory *dir, struct directory *up)
{
	int known, verdict = 1;

	if (!p->file_states || q->pathless)
		return file_flags(p, q);
	q->to = 0;
	known = file_known(s, p, q, dir);
	if (known == UNKNOWN)
		known = file_near(s, p, q, up);
	/* What is known allows, and no more: a denial is told with the names that the walk
	 * reads. */
	if (known != 1)
		verdict = file_verdict(s, p, q);
	if (known && q->to) {
		file_learn(s, p, q, dir, 0);
		file_learn(s, p, q, up, 1);
	}
	return verdict;
}

/*
 * Ask every role in list[0..q->depth) about the file whose dentry is q->leaf. `dir` and `up`
 * are what is known of the directory that it is in and of the one above, where they have room
 * for it. Global: verified once.
 */
__noinline int file_judge(struct subject *s, struct query *q, struct directory *dir,
			  struct directory *up)
{
	if (!s || !q)
		return -EACCES;
	for (__u32 i = 0; i < ROLE_DEPTH; i++) {
		struct policy *p;
		int err;

		if (i >= q->depth)
			break;
		p = turn_of(s, q, i);
		if (p && file_verdict_in(s, p, q, dir, up))
			continue;
		err = refuse(s, q, &s->list[i], p, EACCES);
		if (err)
			return err;
	}
	return 0;
}

/*
 * What is known of the directory whose inode that is, and whose dentry `at`; NULL: it has no
 * storage. That costs as much as a fifth of an open, so who is passed but once gets none. An inode
 * that nobody holds any more must not get it either, it would outlive it: the hook's dentry holds
 * its directory, and that the one above, as long as nothing is renamed.
 */
static __noinline struct directory *directory_of(struct inode *inode, __u64 at, __u32 seq)
{
	struct directory *dir = bpf_inode_storage_get(&directories, inode, 0, 0);
	__u64 address = (__u64)inode, *before;
	struct dentry *d = (struct dentry *)at;
	__u32 key = ((address >> 6) ^ (address >> 18)) & (PASSED - 1);

	if (dir)
		return dir;
	before = bpf_map_lookup_elem(&passed, &key);
	if (!before)
		return NULL;
	if (*before != address) {
		*before = address;
		return NULL;
	}
	if ((__u64)PEEK(d, d_inode) != address || !keeps(d) || rename_count() != seq)
		return NULL;
	dir = bpf_inode_storage_get(&directories, inode, 0, BPF_LOCAL_STORAGE_GET_F_CREATE);
	if (rename_count() == seq)
		return dir;
	bpf_inode_storage_delete(&directories, inode);
	return NULL;
}

struct path_copy {
	struct walk *walk;
	struct event *event;
	__u32 next; /* names not copied yet */
};

/* Appends '/' and the next name; 1: it was the last, or has no room. */
static __always_inline int copy_name(struct path_copy *c)
{
	struct event *e = c->event;
	struct walk *w = c->walk;
	__u32 slot = (c->next - 1) & (WALK_LEVELS - 1), len = w->len[slot], at = e->path_len;

	if (!c->next)
		return 1;
	opaque(at);
	opaque(len);
	if (len > NAME_LIMIT || at >= PATH_SIZE || at + len >= PATH_SIZE)
		return 1;
	e->path[at] = '/';
	at++;
	if (bpf_probe_read_kernel(&e->path[at], len, (void *)w->name[slot]))
		return 1;
	e->path_len = at + len;
	c->next--;
	return 0;
}

static long path_one(__u32 i, struct path_copy *c)
{
	return copy_name(c);
}

__noinline int file_path(struct walk *w, struct event *e, __u64 leaf, __u32 located)
{
	struct path_copy c = { .walk = w, .event = e };

	if (!w || !e)
		return 0;
	if (!located)
		file_locate(w, leaf);
	e->device = w->device;
	c.next = w->levels;
	/* Most paths are short, and turns of bpf_loop cost half as much again. */
	for (__u32 i = 0; i < SHORT_PATH; i++) {
		if (copy_name(&c))
			break;
	}
	if (c.next)
		bpf_loop(WALK_LEVELS - SHORT_PATH, path_one, &c, 0);
	if (c.next) {
		e->path_cut = 1;
	} else if (!e->path_len) {
		e->path[0] = '/';
		e->path_len = 1;
	}
	return 0;
}

static __always_inline void file_asked(struct query *q, struct dentry *dentry,
				       const struct nature *n)
{
	struct inode *inode;

	q->leaf = (__u64)dentry;
	if (n->type != S_IFCHR)
		return;
	inode = PEEK(dentry, d_inode);
	q->chardev = PEEK(inode, i_rdev);
}

/*
 * Judge what file_asked() was told for the first `depth` roles of the list, by what is known of
 * its directory: for a dentry that the hook holds, and whose type the verifier trusts; NULL: there
 * is none such. What one role's flags or directory allow is the end of it at once; all else is
 * file_judge()'s.
 */
static __always_inline int file_decide_in(struct subject *s, __u32 depth, struct query *q,
					  struct dentry *held)
{
	struct policy *p = depth == 1 ? policy_of(&s->list[0]) : NULL;
	struct directory *dir = NULL, *up = NULL;
	__u32 seq;

	if (p && !p->file_states) {
		if (file_flags(p, q))
			return 0;
		held = NULL; /* no path decides */
	}
	q->depth = depth;
	if (!held || !&rename_lock)
		return errno_of(file_judge(s, q, NULL, NULL));
	seq = rename_count();
	if (!(seq & 1)) {
		struct dentry *parent = held->d_parent;

		q->seq = seq;
		dir = directory_of(parent->d_inode, (__u64)parent, seq);
		if (p && dir && file_known(s, p, q, dir) == 1)
			return 0;
		if (!dir || ONCE(dir->renames) != rename_stamp(seq)) {
			parent = parent->d_parent;
			up = directory_of(parent->d_inode, (__u64)parent, seq);
		}
	}
	return errno_of(file_judge(s, q, dir, up));
}

/* Judge a dentry for the first `depth` roles of the list, by its path alone. */
static __always_inline int file_decide(struct subject *s, __u32 depth, struct query *q,
				       struct dentry *dentry, const struct nature *n)
{
	file_asked(q, dentry, n);
	return file_decide_in(s, depth, q, NULL);
}

/*
 * The lower file or directory of a stacked filesystem, opened by the kernel as the
 * mounter: the upper one is judged. Borrowed credentials alone tell nothing, a subject's
 * own io_uring request can run under others; no subject opens by a mount of the kernel's.
 */
static __always_inline int backs(struct file *file)
{
	struct task_struct *t = bpf_get_current_task_btf();
	struct vfsmount *mnt;
	struct mount *m;

	if (t->cred == t->real_cred) /* borrowed_creds(), the faster way */
		return 0;
	if (file->f_mode & FMODE_BACKING)
		return 1;
	mnt = file->f_path.mnt;
	m = (void *)mnt - bpf_core_field_offset(struct mount, mnt);
	return (__u64)BPF_CORE_READ(m, mnt_ns) == MNT_NS_INTERNAL;
}

/* The same for hooks that see no mount: a task without io_uring has no other way to
 * act under credentials that are not its own. */
static __always_inline int stacked(void)
{
	struct task_struct *t = bpf_get_current_task_btf();

	return borrowed_creds() && !UNTYPED(t, io_uring) && !(t->flags & PF_IO_WORKER);
}

/*
 * A file's dentry from the path walk that opens it: since 6.18 the verifier does not trust
 * what it reads of a file's path, which became a union. NULL: opened otherwise.
 */
static __always_inline struct dentry *opened(struct dentry *dentry)
{
	struct task_struct *t = bpf_get_current_task_btf();
	struct dentry *held = t->nameidata->path.dentry;
	__u64 address = (__u64)held;

	opaque(address); /* or the one that it equals is taken */
	return address == (__u64)dentry ? held : NULL;
}

SEC("lsm/file_open")
int BPF_PROG(file_open, struct file *file, int ret)
{
	__u32 depth, wanted = ACCESS_READ;
	struct dentry *dentry;
	struct subject *s;
	struct nature n;
	struct query q;
	int err;

	if (ret)
		return earlier(ret);
	s = current_subject_or_staged();
	if (!s) {
		if (file->f_inode->i_sb->s_magic != BPFFS_MAGIC)
			return 0;
		ask(&q, OP_OPEN);
		q.leaf = (__u64)file->f_path.dentry;
		return errno_of(seal_open(&q));
	}
	ask(&q, OP_OPEN);
	dentry = file->f_path.dentry;
	n = nature_of(dentry);
	/* Also on the lower layers of an overlay. */
	if ((file->f_mode & FMODE_WRITE) || (file->f_flags & (O_TRUNC | O_TMPFILE_FLAG)))
		wanted = ACCESS_WRITE;
	err = guard_file(s, &q, dentry, &n, wanted);
	if (err)
		return errno_of(err);
	if (n.pathless || backs(file))
		return 0;
	file_asked(&q, dentry, &n);
	q.op = OP_OPEN;
	q.access = 0;
	q.value = 0;
	depth = s->depth;
	if (file->f_flags & FMODE_EXEC_FLAG) {
		/* The program, a script's interpreter (judged again by bprm_check) or the
		 * ELF interpreter: under the roles that this exec enters. */
		q.access = ACCESS_EXEC | ACCESS_MAP;
		q.alternative = 1;
		q.granted = granted_from(s);
		if (s->staged)
			depth = s->staged;
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
		q.access |= ACCESS_WRITE;
		q.leaf = (__u64)PEEK(dentry, d_parent);
		return file_decide_in(s, depth, &q, NULL);
	}
	return file_decide_in(s, depth, &q, opened(dentry));
}

static __always_inline int judge_change(struct subject *s, struct query *q, struct dentry *dentry,
					__u32 op)
{
	struct nature n = nature_of(dentry);

	if (n.pathless)
		return 0;
	q->op = op;
	q->access = ACCESS_WRITE;
	file_asked(q, dentry, &n);
	return file_decide_in(s, s->depth, q, dentry);
}

/* A change of what is at a dentry's name, or of the name itself. What is self-protection's
 * in it comes by the inode_* hooks, for each layer of an overlay. */
static __always_inline int file_change(struct dentry *dentry, __u32 op, int ret)
{
	struct subject *s;
	struct query q;

	if (ret)
		return earlier(ret);
	s = current_subject();
	if (!s)
		return 0;
	ask(&q, op);
	return judge_change(s, &q, dentry, op);
}

/* A change of an inode's metadata. A file that has lost its last name is nobody's but
 * its holders': an O_TMPFILE gets its mode before its name. */
static __always_inline int judge_attribute(struct subject *s, struct query *q,
					   struct dentry *dentry, __u32 op)
{
	struct inode *inode;

	if (stacked())
		return 0;
	inode = PEEK(dentry, d_inode);
	if (!inode || !PEEK(inode, i_nlink))
		return 0;
	return judge_change(s, q, dentry, op);
}

static __always_inline int file_attribute(struct dentry *dentry, __u32 op, int ret)
{
	struct subject *s;
	struct query q;

	if (ret)
		return earlier(ret);
	s = current_subject();
	if (!s)
		return 0;
	ask(&q, op);
	return judge_attribute(s, &q, dentry, op);
}

/* The same, self-protection first: for the inode_* hooks, which have one program each. */
static __always_inline int guarded_attribute(struct dentry *dentry, __u32 op, int ret)
{
	struct query q = { .granted = ROLE_DEPTH };
	struct subject *s;
	int err;

	if (ret)
		return earlier(ret);
	s = current_subject();
	q.leaf = (__u64)dentry;
	err = s ? guard_inode(s, &q, 0) : seal_inode(&q, 0);
	return err || !s ? errno_of(err) : judge_attribute(s, &q, dentry, op);
}

SEC("lsm/path_mknod")
int BPF_PROG(file_mknod, const struct path *dir, struct dentry *dentry, __u16 mode,
	     unsigned int dev, int ret)
{
	__u32 type = mode & S_IFMT;

	/* First: 6.18 takes what ret's register held before for what it may be. */
	if (ret)
		return earlier(ret);
	return file_change(dentry, !type || type == S_IFREG ? OP_CREATE : OP_MKNOD, 0);
}

SEC("lsm/path_mkdir")
int BPF_PROG(file_mkdir, const struct path *dir, struct dentry *dentry, __u16 mode, int ret)
{
	return file_change(dentry, OP_MKDIR, ret);
}

SEC("lsm/path_symlink")
int BPF_PROG(file_symlink, const struct path *dir, struct dentry *dentry, const char *target,
	     int ret)
{
	return file_change(dentry, OP_SYMLINK, ret);
}

SEC("lsm/path_unlink")
int BPF_PROG(file_unlink, const struct path *dir, struct dentry *dentry, int ret)
{
	return file_change(dentry, OP_UNLINK, ret);
}

SEC("lsm/path_rmdir")
int BPF_PROG(file_rmdir, const struct path *dir, struct dentry *dentry, int ret)
{
	return file_change(dentry, OP_RMDIR, ret);
}

SEC("lsm/path_truncate")
int BPF_PROG(file_truncate, const struct path *path, int ret)
{
	return file_change(path->dentry, OP_TRUNCATE, ret);
}

SEC("lsm/path_chmod")
int BPF_PROG(file_chmod, const struct path *path, __u16 mode, int ret)
{
	return file_attribute(path->dentry, OP_CHMOD, ret);
}

SEC("lsm/path_chown")
int file_chown(unsigned long long *ctx)
{
	/* path, uid, gid, ret: BPF_PROG cannot name the structs among them */
	const struct path *path = (const void *)ctx[0];

	return file_attribute(path->dentry, OP_CHOWN, (int)ctx[3]);
}

/* Which argument of inode_setattr is the dentry: 1 since 6.7, 0 before. Set by the
 * loader before the load. */
const volatile __u32 setattr_dentry = 1;

SEC("lsm/inode_setattr")
int file_setattr(unsigned long long *ctx)
{
	struct dentry *dentry;
	struct iattr *attr;
	struct subject *s;
	struct query q;
	int ret, err;

	/* A load from a computed place in ctx would not verify: keep the two apart. */
	if (setattr_dentry) {
		dentry = (void *)ctx[1];
		attr = (void *)ctx[2];
		ret = ctx[3];
		asm volatile("/* three */" : "+r"(dentry), "+r"(attr), "+r"(ret));
	} else {
		dentry = (void *)ctx[0];
		attr = (void *)ctx[1];
		ret = ctx[2];
		asm volatile("/* two */" : "+r"(dentry), "+r"(attr), "+r"(ret));
	}
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
	if (!err && gives_set_id(dentry, attr))
		err = setid_planted(s, &q);
	if (err)
		return errno_of(err);
	/* Modes and owners come by chmod and chown, sizes by truncate, and the rest is the
	 * kernel's own doing. */
	if (!(attr->ia_valid & (ATTR_TIMES_SET | ATTR_TOUCH)))
		return 0;
	return judge_attribute(s, &q, dentry, OP_UTIMES);
}

/* An extended attribute that is set, or removed. */
static __always_inline int change_xattr(struct dentry *dentry, const char *name, __u32 set,
					__u32 appends, int ret)
{
	struct query q = { .granted = ROLE_DEPTH };
	int named, err = 0;
	struct subject *s;

	if (ret)
		return earlier(ret);
	named = attribute_name((__u64)name);
	/* the mark: of tasks that are no subjects, too */
	if (named == NAMED_MARK || named == NAMED_UNREADABLE)
		err = guard_mark(&q, appends);
	if (err)
		return errno_of(err);
	s = current_subject();
	if (!s)
		return 0;
	q.leaf = (__u64)dentry;
	err = guard_inode(s, &q, 0);
	if (!err && set && named == NAMED_CAPABILITY)
		err = setid_planted(s, &q);
	return err ? errno_of(err) : judge_attribute(s, &q, dentry, OP_XATTR);
}

SEC("lsm/inode_setxattr")
int BPF_PROG(file_setxattr, void *idmap, struct dentry *dentry, const char *name, const void *value,
	     unsigned long size, int flags, int ret)
{
	return change_xattr(dentry, name, 1, flags & XATTR_CREATE, ret);
}

SEC("lsm/inode_removexattr")
int BPF_PROG(file_rmxattr, void *idmap, struct dentry *dentry, const char *name, int ret)
{
	return change_xattr(dentry, name, 0, 0, ret);
}

SEC("lsm/inode_set_acl")
int BPF_PROG(file_set_acl, void *idmap, struct dentry *dentry, const char *name, void *acl, int ret)
{
	return guarded_attribute(dentry, OP_ACL, ret);
}

SEC("lsm/inode_remove_acl")
int BPF_PROG(file_rm_acl, void *idmap, struct dentry *dentry, const char *name, int ret)
{
	return guarded_attribute(dentry, OP_ACL, ret);
}

SEC("lsm/inode_file_setattr")
int BPF_PROG(file_fileattr, struct dentry *dentry, void *attributes, int ret)
{
	return guarded_attribute(dentry, OP_FILEATTR, ret);
}

/* btrfs commands that make, remove or change whole trees by an open directory. */
static __always_inline int tree_command(unsigned int cmd)
{
	if (((cmd >> 8) & 0xff) != IOC_TYPE_BTRFS)
		return 0;
	switch (cmd & 0xff) {
	case 1:	 /* SNAP_CREATE */
	case 14: /* SUBVOL_CREATE */
	case 15: /* SNAP_DESTROY */
	case 19: /* DEFAULT_SUBVOL */
	case 23: /* SNAP_CREATE_V2 */
	case 24: /* SUBVOL_CREATE_V2 */
	case 25: /* SUBVOL_SETFLAGS */
	case 37: /* SET_RECEIVED_SUBVOL */
	case 63: /* SNAP_DESTROY_V2 */
		return 1;
	}
	return 0;
}

static __always_inline int changes_attributes(unsigned int cmd)
{
	switch (cmd) {
	case FS_IOC_SETFLAGS:
	case FS_IOC32_SETFLAGS:
	case FS_IOC_SETVERSION:
	case FS_IOC32_SETVERSION:
	case FS_IOC_FSSETXATTR:
	case FS_IOC_SETFSLABEL:
	case FS_IOC_SET_ENCRYPTION_POLICY:
	case FS_IOC_ENABLE_VERITY:
		return 1;
	}
	return 0;
}

/* There is no telling what a tree that is made or removed as a whole reaches: roles with file
 * rules say no. */
static __always_inline int tree_verdict(struct subject *s, struct policy *p, struct query *q)
{
	return !p->file_states;
}

static __always_inline int file_command(struct file *file, unsigned int cmd, int ret)
{
	struct dentry *dentry;
	struct subject *s;
	struct query q;
	struct nature n;
	int err;

	if (ret)
		return earlier(ret);
	s = current_subject();
	if (!s && cmd != PERF_EVENT_IOC_SET_BPF)
		return 0;
	ask(&q, 0);
	if (!s)
		return errno_of(seal_ioctl(&q, cmd));
	err = ioctl_allowed(s, &q, BPF_CORE_READ(file, f_inode, i_mode), cmd);
	if (err)
		return errno_of(err);
	q.value = tree_command(cmd);
	if (!q.value && !changes_attributes(cmd))
		return 0;
	dentry = file->f_path.dentry;
	n = nature_of(dentry);
	if (n.pathless)
		return 0;
	q.leaf = (__u64)dentry;
	err = guard_inode(s, &q, 0); /* of each layer of a stacked filesystem */
	if (err)
		return errno_of(err);
	if (stacked())
		return 0;
	q.op = OP_FILEATTR;
	q.access = ACCESS_WRITE;
	if (q.value)
		err = decide(s, s->depth, &q, tree_verdict, EACCES);
	return err ? err : file_decide(s, s->depth, &q, dentry, &n);
}

SEC("lsm/file_ioctl")
int BPF_PROG(file_ioctl, struct file *file, unsigned int cmd, unsigned long arg, int ret)
{
	return file_command(file, cmd, ret);
}

SEC("lsm/file_ioctl_compat")
int BPF_PROG(file_ioctl32, struct file *file, unsigned int cmd, unsigned long arg, int ret)
{
	return file_command(file, cmd, ret);
}

/* A descriptor is judged as if it were opened here, for what it can do. */
static __always_inline int file_received(struct subject *s, struct query *q, struct file *file,
					 struct dentry *dentry, const struct nature *n)
{
	__u32 wanted;
	int err;

	if (file->f_mode & FMODE_READ)
		q->access |= ACCESS_READ;
	if (file->f_mode & FMODE_WRITE)
		q->access |= ACCESS_WRITE;
	/* O_PATH can do nothing: what is opened by it is judged then. */
	if (!q->access)
		return 0;
	wanted = q->access;
	err = guard_file(s, q, dentry, n, wanted);
	if (err)
		return err;
	q->op = OP_RECEIVE;
	q->access = wanted;
	q->value = 0;
	return file_decide(s, s->depth, q, dentry, n);
}

/* Requests under registered credentials would look like the kernel's own. */
SEC("lsm/uring_override_creds")
int BPF_PROG(file_uring_cred, const struct cred *new, int ret)
{
	struct query q = { .op = OP_URING_CREDS, .granted = ROLE_DEPTH };
	struct subject *s;

	if (ret)
		return earlier(ret);
	s = current_subject();
	return s ? refuse_always(s, &q, REASON_GUARD, EPERM) : 0;
}

enum move {
	MOVE_AWAY = 1 << 0,	 /* the old name goes: rename */
	MOVE_SWAP = 1 << 1,	 /* RENAME_EXCHANGE: what is at the new name comes back */
	MOVE_TREE = 1 << 2,	 /* what moves to the new name is a directory */
	MOVE_TREE_BACK = 1 << 3, /* what comes back is one */
	MOVE_FRESH = 1 << 4,	 /* the file has no name yet: O_TMPFILE */
};

/* Does nothing beneath a directory gain access? */
static __always_inline int no_more_beneath(const struct policy *p, void *inner, __u32 from,
					   __u32 to)
{
	struct beneath *old, *new;

	old = table_at(inner, p->file_beneath_at + from * sizeof(*old), sizeof(*old));
	new = table_at(inner, p->file_beneath_at + to * sizeof(*new), sizeof(*new));
	if (!old || !new)
		return 0;
	for (int i = 0; i < 4; i++) {
		if (new->kind[i] != old->kind[i] && new->kind[i] != BENEATH_NONE &&
		    old->kind[i] != BENEATH_ALL)
			return 0;
	}
	return 1;
}

/* Does what gets from one state's name to another's keep to the access that it had? */
static __always_inline int no_more(const struct policy *p, void *inner, __u32 from, __u32 to,
				   __u32 tree)
{
	__u32 *old = table_at(inner, p->file_accept_at + from * 4, 4);
	__u32 *new = table_at(inner, p->file_accept_at + to * 4, 4);
	__u32 had, has;

	if (!old || !new || from == STATE_NOWHERE)
		return 0;
	if (from == to)
		return 1;
	had = *old & ACCESS_MATCHED ? *old : flag_access(p);
	has = *new &ACCESS_MATCHED ? *new : flag_access(p);
	if (has & ~had & ACCESS_ANY)
		return 0;
	return !tree || no_more_beneath(p, inner, from, to);
}

/* Verdict for a file that gets the name q->to: it needs to be writable, and to grant no
 * more than the old one, q->from, which a rename changes, too. */
__noinline int file_move(struct subject *s, struct policy *p, struct query *q)
{
	int from = STATE_NOWHERE, to;
	__u32 slot;
	void *inner;

	if (!s || !p || !q)
		return 0;
	if (!p->file_states)
		return file_flags(p, q);
	slot = p->slot;
	inner = bpf_map_lookup_elem(&tables, &slot);
	if (!inner) {
		q->reason = REASON_UNREADABLE;
		return 0;
	}
	if (!(q->moves & MOVE_FRESH)) {
		q->leaf = q->from;
		from = file_state(&s->walk, p, q);
		if (from < 0)
			return 0;
		if ((q->moves & MOVE_AWAY) && !accept(p, q, inner, from))
			return 0;
	}
	q->leaf = q->to;
	to = file_state(&s->walk, p, q);
	if (to < 0 || !accept(p, q, inner, to))
		return 0;
	if (q->moves & MOVE_FRESH)
		return 1;
	if (no_more(p, inner, from, to, q->moves & MOVE_TREE) &&
	    (!(q->moves & MOVE_SWAP) || no_more(p, inner, to, from, q->moves & MOVE_TREE_BACK)))
		return 1;
	q->leaf = q->from;
	q->located = 0;
	q->reason = REASON_MORE;
	return 0;
}

static __always_inline __u32 is_directory(struct dentry *dentry)
{
	struct inode *inode = BPF_CORE_READ(dentry, d_inode);

	return inode && (BPF_CORE_READ(inode, i_mode) & S_IFMT) == S_IFDIR;
}

SEC("lsm/path_link")
int BPF_PROG(file_link, struct dentry *old, const struct path *dir, struct dentry *new, int ret)
{
	struct subject *s;
	struct query q;

	if (ret)
		return earlier(ret);
	s = current_subject();
	if (!s)
		return 0;
	ask(&q, OP_LINK);
	q.access = ACCESS_WRITE;
	q.from = (__u64)old;
	q.to = (__u64) new;
	/* Of files without any name the kernel links only those of O_TMPFILE. */
	if (!BPF_CORE_READ(old, d_inode, i_nlink))
		q.moves = MOVE_FRESH;
	return decide(s, s->depth, &q, file_move, EACCES);
}

SEC("lsm/path_rename")
int BPF_PROG(file_rename, const struct path *old_dir, struct dentry *old,
	     const struct path *new_dir, struct dentry *new, unsigned int flags, int ret)
{
	struct subject *s;
	struct query q;

	if (ret)
		return earlier(ret);
	s = current_subject();
	if (!s)
		return 0;
	ask(&q, OP_RENAME);
	q.access = ACCESS_WRITE;
	q.from = (__u64)old;
	q.to = (__u64) new;
	q.moves = MOVE_AWAY;
	if (is_directory(old))
		q.moves |= MOVE_TREE;
	if (flags & RENAME_EXCHANGE) {
		q.moves |= MOVE_SWAP;
		if (is_directory(new))
			q.moves |= MOVE_TREE_BACK;
	}
	return decide(s, s->depth, &q, file_move, EACCES);
}

#endif
