/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * What the BPF programs and user space agree on: enums and fixed-width structs
 * only, no unions, no implicit padding. profiles/ encodes struct policy and the
 * tables, loader/ writes them and reads the rest. Change a layout, change
 * ABI_VERSION.
 */
#ifndef JAIL_ABI_H
#define JAIL_ABI_H

enum abi {
	ABI_VERSION = 4,
	ABI_OLDEST = 4,	     /* `jail upgrade` takes over what this version and later ones made */
	INSTANCE_SHIFT = 16, /* of the second set in control.instance */
	INSTANCE_MASK = 0xffff,
	ROLE_DEPTH = 8,	      /* roles stacked on one subject */
	NAME_SIZE = 32,	      /* bytes of a role name, NUL included */
	POLICY_SLOTS = 16384, /* roles, and policies, that may live at once; slot 0 is never used */
	PAGE_BYTES = 8192,    /* one element of a policy's tables */
	NO_ROLE = 0xffffffff, /* no role has this id */
	TABLE_PAGES = 1024,   /* most pages of one policy */
	ADHOC_ROLE =
		1U << 31, /* role ids from here on are made by `jail run`, and never used again */
};

/* Bits of policy.flags: what a role opens. */
enum role_flag {
	ALLOW_FILE_ACCESS = 1 << 0,
	ALLOW_NETWORK = 1 << 1,
	ALLOW_EXEC = 1 << 2,
	ALLOW_SETUID = 1 << 3,
	ALLOW_PTRACE = 1 << 4,
	ALLOW_USERNS = 1 << 5,
	ALLOW_MOUNT = 1 << 6,
	ALLOW_CHROOT = 1 << 7,
	ALLOW_BPF = 1 << 8,
	ALLOW_MODULE_LOAD = 1 << 9,
	ALLOW_MEMFD_EXEC = 1 << 10,
	ALLOW_JIT = 1 << 11,
	REQUIRE_SIGNATURE = 1 << 12,
	ALLOW_USERFAULTFD = 1 << 13,
	ALLOW_KEYS = 1 << 14,
	MODE_PERMISSIVE = 1 << 30, /* report, do not refuse */
	OPEN_TO_ALL = 1U << 31,	   /* users = ["*"]: any caller may enter */
};

/* Bits of policy.kinds: socket kinds within AF_INET, AF_INET6 and AF_NETLINK
 * that are off unless the role's families name them. */
enum socket_kind {
	KIND_RAW = 1 << 0,
	KIND_ICMP = 1 << 1,
	KIND_SCTP = 1 << 2,
	KIND_DCCP = 1 << 3,
	KIND_UDPLITE = 1 << 4,
	KIND_NETLINK = 1 << 5, /* every netlink protocol, not only route */
	KIND_OTHER = 1 << 6,   /* every other inet protocol */
};

enum access {
	ACCESS_READ = 1 << 0,
	ACCESS_WRITE = 1 << 1,
	ACCESS_EXEC = 1 << 2,
	ACCESS_MAP = 1 << 3, /* map as code */
	ACCESS_ANY = 15,
	ACCESS_MATCHED = 1 << 4, /* in a table: some rule decided; else the flags do */
	ACCESS_SETTLED = 1 << 5, /* in a file table: no byte leads out of this state */
};

/* States with a fixed number in every file automaton. */
enum file_state {
	STATE_NOWHERE = 0, /* not below any mount of the reference namespace: denied */
};

/* What the key of the start map names. */
enum start_kind {
	START_DEVICE = 0,  /* s_dev of a mounted filesystem */
	START_MAGIC = 1,   /* s_magic of a filesystem that is judged by its type (proc, sysfs...) */
	START_CHARDEV = 2, /* rdev of a harmless character device: the state IS the file's own */
	START_OPEN_CHAR = 3,  /* rdev of a character device that the role names under `devices` */
	START_UNIX = 4,	      /* added to the others: of the automaton for UNIX sockets */
	START_OPEN_BLOCK = 8, /* as START_OPEN_CHAR, of a block device */
};

/* What the accept words of unix_* and name_* say, in enum access bits. */
enum unix_access {
	UNIX_ALLOW = 1 << 1,
	UNIX_ALLOW_ROOT = 1 << 2, /* where root owns the socket's file */
};

enum {
	NAME_START = 1,
};

/* Index of a port list within a net_node. */
enum port_list {
	TCP_BIND = 0,
	TCP_CONNECT = 1,
	UDP_BIND = 2,
	UDP_CONNECT = 3,
	PORT_LISTS = 4,
};

enum port_verdict {
	PORT_NONE = 0, /* no rule of this node: ask the parent, then the flag */
	PORT_ALLOW = 1,
	PORT_DENY = 2,
};

/*
 * A policy's tables are bytes, little endian, cut into pages of PAGE_BYTES; no
 * item crosses a page. Offsets below count bytes from the start of the tables.
 *   file_class_at    256 bytes: byte -> class
 *   file_next_at     u16 cells: next state = cell[state * file_classes + class]
 *   file_accept_at   u32 per state: enum access bits, and the rule << 8
 *   file_beneath_at  struct beneath per state
 *   net_v4_at        struct net_range4 sorted by first, the first one at 0.0.0.0
 *   net_v6_at        struct net_range6 sorted by first, the first one at ::
 *   net_node_at      struct net_node: that of 0.0.0.0/0, those of prefixes in it, the same of v6
 * The automaton reads '/' and the bytes of the name for each component, from the
 * start state of the filesystem that the file is on. unix_* is a second one, for the
 * files of UNIX sockets: its start states are under kinds with START_UNIX added. name_* is a third
 * one, for abstract names: it reads their bytes from NAME_START on.
 */
struct policy {
	__u64 id;	/* unique until reboot; 0: the slot is free */
	__u64 families; /* bit n: AF number n may be used */
	__u32 role;
	__u32 flags;	   /* enum role_flag */
	__u32 kinds;	   /* enum socket_kind */
	__u32 slot;	   /* this policy's own slot, which names its tables */
	__u32 file_states; /* 0: no file rules, the flags decide */
	__u32 file_classes;
	__u32 file_class_at;
	__u32 file_next_at;
	__u32 file_accept_at;
	__u32 net_v4_at;
	__u32 net_v4_len;
	__u32 net_v6_at;
	__u32 net_v6_len;
	__u32 net_node_at;
	__u32 net_node_len; /* 0: no network rules, the flag decides */
	__u32 file_beneath_at;
	__u32 pages;	   /* what the slot's tables hold; also where the slot is free */
	__u32 unix_states; /* 0: no rules for named UNIX sockets */
	__u32 unix_classes;
	__u32 unix_class_at;
	__u32 unix_next_at;
	__u32 unix_accept_at;
	__u32 name_states; /* 0: no rules for abstract ones */
	__u32 name_classes;
	__u32 name_class_at;
	__u32 name_next_at;
	__u32 name_accept_at;
	__u32 starts; /* added to the kinds of start keys: START_UNIX, in a view for UNIX sockets */
	__u32 starts_at; /* struct table_start, for whoever takes the policy away */
	__u32 starts_len;
	__u64 capabilities; /* bit n: capability n may be used though the jail gates it */
};

/* An entry that a policy has in the start map, noted in its tables. */
struct table_start {
	__u32 kind; /* enum start_kind */
	__u32 value;
};

/* What paths beneath a state grant, for each bit of access: BENEATH_NONE, BENEATH_ALL,
 * or a number that states share where the same paths do. */
struct beneath {
	__u16 kind[4];
};

enum beneath_number {
	BENEATH_NONE = 0, /* no path */
	BENEATH_ALL = 1,  /* every path */
};

struct net_range4 {
	__u32 first; /* host byte order */
	__u32 node;
};

struct net_range6 {
	__u32 first[4]; /* host byte order, most significant word first */
	__u32 node;
	__u32 pad[3];
};

struct net_node {
	__u32 at[4];  /* byte offset of each port list (enum port_list) */
	__u32 len[4]; /* entries in it; 0: none */
	__u32 parent; /* the enclosing prefix's node; itself: none */
	__u32 pad[7];
};

struct port_range {
	__u16 first;   /* covers up to the next entry's first; a list starts at 0 */
	__u16 verdict; /* enum port_verdict */
	__u32 rule;
};

/* One page of tables. */
struct page {
	__u8 bytes[8192];
};

/* A role: name and id, and the policy that it points at now. A reload stores
 * policy_slot, one word, and nothing else that the programs read. */
struct role {
	__u32 policy_slot;
	__u32 id;    /* 0: the slot is free */
	__u32 flags; /* enum role_state */
	__u32 pad;
	__u8 name[32];
};

enum role_state {
	ROLE_ORPHANED = 1 << 0, /* no longer configured; holds for those who have it */
};

/* Key of the start map; value: u32 state. */
struct start_key {
	__u64 policy_id;
	__u32 kind; /* enum start_kind */
	__u32 value;
};

/* ---- subjects and enrollment ---- */

/* One entry of a subject's list: a role entered in a domain. */
struct member {
	__u64 domain; /* kernel-made, new with each enrollment */
	__u64 pod;    /* the label that a person chose, or one made up */
	__u32 role;   /* role id */
	__u32 slot;   /* where that role is in the roles map */
	__u32 flags;  /* enum member_flag */
	__u32 pad;
};

enum member_flag {
	MEMBER_PERMISSIVE = 1 << 0, /* entered with --permissive: reported, not refused */
	MEMBER_FRESH = 1 << 1,	    /* entered by a control group, not by an exec: it has one */
	MEMBER_WHOLE = 1 << 2,	    /* of a process's first thread: all others have it as well */
};

/* What the tables of executables and control groups say of one of them. */
struct entrance {
	__u64 pod;   /* 0: make one up */
	__u32 role;  /* role id */
	__u32 flags; /* enum entrance_flag */
};

enum entrance_flag {
	ENTRANCE_SKIP = 1 << 0,	 /* systemd's executor: its control group counts at its next exec */
	ENTRANCE_ASKED = 1 << 1, /* a control group listed by a request, not by the configuration */
};

/* A file as the kernel knows it. */
struct file_key {
	__u64 inode;
	__u32 device; /* s_dev */
	__u32 generation;
};

/* Which rule of the paths' policy an entrance belongs to. */
struct path_key {
	__u64 policy;
	__u32 rule;
	__u32 pad;
};

enum {
	CGROUP_PATH = 256, /* bytes of a control group's path, NUL included */
	CGROUP_DEPTH = 32,
	SCRATCHES = 64,
	MARK_VERSION = 1,
	MARK_SIZE = 64, /* bytes read of a mark; it has 16 */
};

/* A control group's path below the mount, filled up with NULs. */
struct cgroup_key {
	__u8 path[256];
};

/* Which ways in there are besides `jail run`; written by the loader. */
struct ways {
	__u32 paths;   /* slot of the policy whose rules are paths of executables; 0: none */
	__u32 cgroups; /* control groups that are listed */
	__u32 xattr;   /* 1: this kernel's programs read the mark */
	__u32 pad;
};

/* The extended attribute security.bpf.jail. */
struct mark {
	__u32 version;
	__u32 role;
	__u64 pod;
};

/* What `identify` is asked. */
struct identity {
	__u32 fd;
	__u32 op; /* enum identify_op */
	struct entrance entrance;
};

enum identify_op {
	IDENTIFY_PUT = 1,    /* answers 0 */
	IDENTIFY_DELETE = 2, /* answers 0 */
	IDENTIFY_ROLE = 3,   /* answers 0: the file's entrance has this role and pod; ENOENT */
};

enum subject_flag {
	SUBJECT_NO_GAIN = 1 << 0, /* enrolled without privilege: no exec may gain any */
};

enum {
	WALK_LEVELS = 64, /* path components kept at a time */
};

/* The path being judged: names from the file (0) up to the root of its filesystem. */
struct walk {
	__u64 name[64];
	__u32 len[64];
	__u32 levels;	/* components in all; may exceed WALK_LEVELS */
	__u32 device;	/* s_dev */
	__u32 magic;	/* s_magic */
	__u32 own_pid;	/* procfs: the topmost component is the subject's own pid */
	__u8 text[256]; /* the name being read */
	/* what the latest try found: see file_walk() */
	__s64 states;	  /* -1: it cannot be told */
	__u64 renames;	  /* what they hold for: see rename_stamp() */
	__u64 generation; /* the same: of the control block */
};

/* What a directory's path leads to in one policy's automaton. */
struct known {
	__u64 policy;	  /* its id; 0: nothing is known */
	__u64 dentry;	  /* address of the directory's dentry */
	__u64 renames;	  /* see rename_stamp() */
	__u64 generation; /* of the control block */
	__u32 turn;	  /* odd while this is written */
	__u32 state;	  /* after the directory's path and '/' */
	__u32 word;	  /* what the tables say of that state */
	__u32 levels;	  /* of the path: what is too deep to be judged stays so */
};

enum {
	KNOWN = 4,	  /* policies that a directory has room for; a power of two */
	PASSED = 1 << 12, /* entries of the passed map; a power of two */
};

/* Value of the directories map (inode storage): a policy's place is its id modulo KNOWN. */
struct directory {
	__u64 renames; /* when something was last learned of it: see rename_stamp() */
	struct known known[4];
};

/* The subject's latest denial, so that the same one again is only counted. */
struct latest {
	__u32 port; /* from here to addr: as in struct event */
	__u32 value;
	__u32 op;
	__u32 access;
	__u32 reason;
	__u32 rule;
	__s32 error;
	__u32 permissive;
	__u32 family;
	__u32 protocol;
	__u8 addr[16];
	__u64 leaf;
	__u64 domain;
	__u64 number;  /* its place in the denials map; 0: none */
	__u64 told;    /* when its repeats were last reported, ns */
	__u32 repeats; /* not reported yet */
	__u32 role;
};

/* An address and port that a policy's rules opened to the task: asked again, no table is
 * searched. The task alone reads and writes it, and a policy's tables never change under its
 * id: what its flags grant is asked each time. */
struct allowed {
	__u64 policy; /* its id; 0: nothing is known */
	__u32 addr[4];
	__u32 port;
	__u32 family;
	__u32 list; /* enum port_list */
	__u32 rule;
};

enum {
	ALLOWED = 4, /* addresses that a task has room for; a power of two */
};

/* How many events a domain may still report in this second. */
struct limit {
	__u64 domain;	   /* whose it is */
	__u64 window;	   /* second in which the two below count, ns */
	__u32 reported[2]; /* denials, and other events, in this window */
	__u32 suppressed;  /* denials over the limit, not yet told */
	__u32 pad;
};

/*
 * Value of the subjects map (task storage). list[0..depth) holds; list[depth..staged)
 * is what the exec under way will add: committing it is one store.
 */
struct subject {
	__u32 depth;
	__u32 staged; /* 0: no exec under way */
	__u32 flags;  /* enum subject_flag */
	__u32 staged_flags;
	__u32 claimed; /* 1: somebody writes above the list; see claim() */
	__u32 moves; /* of the control block, when the list had all that is of the whole process */
	struct member list[8];
	struct latest latest;
	struct walk walk;
	struct policy view; /* scratch, for UNIX sockets */
	struct allowed allowed[4];
};

/* Value of the domains map: one enrollment and the tasks in it. */
struct domain {
	struct limit limit; /* first; used where the limits map has no room for the domain */
	__u64 pod;
	__u32 uid;
	__u32 depth;
	__s64 live; /* tasks whose list names the domain; an entry that reached 0 is dead */
	struct member list[8]; /* the list that its founder had */
};

/* Value of the pending_enrollments map (task storage): consumed by the next exec. */
struct pending {
	__u32 count;
	__u32 reason;	    /* enum refusal: why the last exec was not enrolled */
	__u32 flags;	    /* enum subject_flag */
	__u32 member_flags; /* enum member_flag of what is armed */
	__u64 pod;	    /* 0: make one up */
	__u32 roles[8];
	struct domain draft; /* too large for a BPF stack */
	__u32 uid;	     /* real uid of the task that enters */
	__u32 trust;	     /* enum trust */
};

/* Which pods an enrollment may join. */
enum trust {
	TRUST_NONE = 0, /* those of its own user */
	TRUST_ROOT = 1, /* any, as it is root, outside any jail */
	TRUST_WORD = 2, /* root said so, for a task of any user */
};

/* Room for one exec or fork to find out what it enters; busy while it is in use. */
struct scratch {
	__u32 busy;
	__u32 found; /* entrances in list */
	__u32 slot;  /* its own place in the scratches */
	__u32 pad;
	struct entrance list[8];
	struct member nobody; /* on whose behalf an exec is refused */
	struct pending pending;
	struct walk walk;
	__u64 group;	  /* address of the control group that is judged */
	__u64 groups[32]; /* and of those around it, by level */
	struct cgroup_key cgroup;
	__u8 spill[256]; /* behind the key: a name that does not fit */
	__u8 mark[64];
};

/* Value of the pods map: who holds a label. */
struct pod {
	__u64 domain; /* the newest */
	__u32 uid;
	__u32 pad;
	__s64 live; /* domains under the label */
};

/* Why an enrollment was refused. */
enum refusal {
	REFUSED_NOT = 0,
	REFUSED_DOOR = 1,  /* not yet open after load, or closed by unload */
	REFUSED_ROLE = 2,  /* no such role is loaded */
	REFUSED_DEPTH = 3, /* the list is full */
	REFUSED_MEMORY = 4,
	REFUSED_POD = 5,	/* the pod has a live subject of another user */
	REFUSED_USER = 6,	/* the role is not open to the caller */
	REFUSED_NEW_PRIVS = 7,	/* an unprivileged caller must set no_new_privs first */
	REFUSED_FULL = 8,	/* the domains map is full */
	REFUSED_BUSY = 9,	/* an exec or another enrollment is under way */
	REFUSED_GONE = 10,	/* no thread of the process was found */
	REFUSED_KERNEL = 11,	/* a kernel thread */
	REFUSED_TRACED = 12,	/* the process is traced or traces */
	REFUSED_PRIVILEGE = 13, /* the process has more privilege than who asked for it */
	REFUSED_MARK = 14,	/* the file's mark is malformed or cannot be read */
	REFUSED_PATH = 15,	/* the file's path cannot be told: it may be a listed one */
	REFUSED_SHARED = 16,	/* another process shares the memory and would stay outside */
};

/*
 * The private prctl: option PRCTL_JAIL, then an op and its arguments. A BPF
 * program cannot make prctl succeed, so the answers are errno values that the
 * kernel does not use: PRCTL_OK, PRCTL_OK + n, or PRCTL_REFUSED + enum refusal.
 */
enum prctl {
	PRCTL_JAIL = 0x4a41494c, /* "JAIL" */
	PRCTL_ARM = 1,		 /* arg3 role id: append to what the next exec enters */
	PRCTL_CLEAR = 2,	 /* forget it */
	PRCTL_COUNT = 3,	 /* answers PRCTL_OK + roles armed */
	PRCTL_REASON = 4,	 /* answers PRCTL_REFUSED + why the last exec was not enrolled */
	PRCTL_DEPTH = 5,	 /* answers PRCTL_OK + depth of the caller's own list */
	PRCTL_PERMISSIVE = 7,	 /* what is armed enters permissive */
	PRCTL_POD = 6,		 /* arg3 pod: the label for what is armed */
	PRCTL_MOUNTS = 8, /* answers PRCTL_OK + 1 to who has mounts to read: loader.RefreshMounts */
	PRCTL_OK = 4000,
	PRCTL_REFUSED = 4040,
};

/* Value of the sockets map: the list of the task that made a UNIX socket. */
struct owner {
	__u32 depth;
	__u32 pad;
	__u64 domain[8];
	__u32 role[8];
};

/* ---- who may enter a role, and enrollment from outside ---- */

enum entrant_kind {
	ENTRANT_USER = 0,
	ENTRANT_GROUP = 1,
};

/* Key of the entrants map: a uid or gid that may enter the policy's role. */
struct entrant {
	__u64 policy_id;
	__u32 kind; /* enum entrant_kind */
	__u32 id;
};

enum stamp_flag {
	STAMP_BY_ROOT = 1 << 0,	 /* root outside any jail decided: the process need not be a user of
				    the role, and gets no no-gain bit */
	STAMP_AT_EXEC = 1 << 1,	 /* arm every thread instead */
	STAMP_UNTRACED = 1 << 2, /* refuse a process that is traced or traces */
	STAMP_TREE = 1 << 3,	 /* its descendants too; the trees map names the process */
	STAMP_ONCE = 1 << 5,	 /* pass over threads that have the role already */
	STAMP_LOOK = 1 << 4,	 /* only see whether it would be refused */
};

/*
 * Value of the stamps map, by process id: an enrollment from outside. Each reading of
 * the pinned iterator stamp_iter is one pass over all threads; see stamp.h.
 */
struct stamp {
	__u64 start;   /* when the process started, as in /proc/PID/stat: 10 ms ticks */
	__u64 domain;  /* out: made for the first thread */
	__u64 label;   /* out: its pod */
	__u64 memory;  /* out, of a look: address of its mm */
	__u32 uid;     /* real uid that the process must have, unless by root */
	__u32 flags;   /* enum stamp_flag */
	__u32 stamped; /* out: threads newly stamped or armed, all passes */
	__u32 busy;    /* out: threads in the middle of an exec, all passes */
	__u32 refused; /* out: enum refusal */
	__u32 seen;    /* out: threads met, all passes */
	__u32 lock;    /* 1: one of two passes at the same time is at work on it */
	__u32 pad;
	struct pending request; /* count, roles, pod and flags; its draft is scratch */
};

/* ---- the one control block ---- */

enum {
	CONTROL_KEY = 0,
};

struct control {
	__u32 abi;	  /* ABI_VERSION of whoever made the maps */
	__u32 instance;	  /* which set of programs acts; above INSTANCE_SHIFT another that does, too
			   */
	__u32 door;	  /* 1: enrollment is open */
	__u32 sealed;	  /* enum seal */
	__u64 policies;	  /* counts up; the newest policy's id */
	__u64 generation; /* counts changes of start states that policies have; odd: one is under
			     way */
	__u64 adhoc;	  /* counts up; ADHOC_ROLE + the newest ad-hoc role */
	__u64 init;	  /* address of process 1's task */
	__u64 mounts;	  /* mounts_now() when the start states were made; 0: they are stale */
	__u32 moves;	  /* counts processes that were moved into listed control groups, with all
			     their threads; counted up by the programs */
	__u32 pad;
};

enum seal {
	SEAL_NONE = 0,
	SEAL_CLOSING = 1, /* closed, and whoever seals makes sure that nobody else holds anything */
	SEAL_ROLES = 2,	  /* sealed; new marks may come */
	SEAL_STRICT = 3,  /* sealed; no mark comes */
};

/* What `seal` is asked. */
struct sealing {
	__u32 level; /* enum seal */
	__u32 pad;
};

/*
 * Value of the rooms map, by policy slot: a place for a policy that comes after a seal. The
 * loader makes them, with their tables, before the seal closes; from then on `admit_role` alone
 * writes them. Room 0 is no place: its state says that an `admit_role` is at work, its policy
 * counts the changes of what is shown.
 */
struct room {
	__u64 policy;  /* id of the policy that is, or will be, in it; 0: it is free */
	__u32 state;   /* enum room_state */
	__u32 role;    /* the ad-hoc role that this policy is for; 0: one that stays */
	__u32 domains; /* that entered that role and are alive */
	__u32 pages;   /* of its tables */
	__u32 starts_at;
	__u32 starts_len;   /* struct table_start, and behind them */
	__u32 entrants_len; /* as many struct table_start, then a u32 state for each start */
	__u32 pad;
};

enum room_state {
	ROOM_FREE = 0,
	ROOM_TAKEN = 1, /* a policy is being written, and no role has it */
	ROOM_SHOWN = 2, /* a role has it; only that of an ad-hoc role leaves again */
};

/* What `admit_role` is asked. */
struct admission {
	__u64 policy; /* id of the policy; ADMIT_TAKE answers it */
	__u32 op;     /* enum admit_op */
	__u32 room;   /* policy slot */
	__u32 role;   /* role id; ADMIT_TAKE of 1 answers that of a new ad-hoc role, of 0 none */
	__u32 at;     /* role slot, or page of the tables */
	__u32 starts_at;
	__u32 starts_len;
	__u32 entrants_len;
	__u32 pad;
	__u8 name[32];
	struct policy words; /* ADMIT_SHOW, ADMIT_NARROW */
	__u8 bytes[8192];    /* ADMIT_WRITE: the page */
};

enum admit_op {
	ADMIT_TAKE = 1,	  /* a free room, for a policy with a new id */
	ADMIT_WRITE = 2,  /* a page of its tables */
	ADMIT_SHOW = 3,	  /* the role, whole */
	ADMIT_LEAVE = 4,  /* frees the room: nobody has the role, or it was never shown */
	ADMIT_NARROW = 5, /* takes words of a role's policy back to these */
};

enum {
	ADMIT_LIST = 32768, /* most start states, and entrants, of one policy */
};

/* What the program iterator prints for each program. */
struct program_use {
	__u32 id;
	__u32 type;
	__u32 attach_type; /* that it expects */
	__u32 target;	   /* BTF id of what it is made for */
	__u32 program;	   /* id of the program that it is made for, before it is attached */
	__u32 count;	   /* of maps that it uses */
	__u32 maps[64];	   /* their ids */
	__u8 name[16];
};

/* What the map iterator prints for each map of ours. */
struct map_use {
	__u64 references; /* the iterator's own included */
	__u64 users;	  /* pins, descriptors, mappings */
	__u64 writers;
	__u32 id;
	__u32 inner; /* 1: tables of a policy, held by the map of maps */
};

/*
 * The one entry of the tallies map: what only the programs write, and atomically. The
 * control block is rewritten whole by the loader, which would take counts back.
 */
struct tally {
	__u64 domains; /* counts up; the newest domain's id */
	__u64 denials; /* counts up: the newest entry of the denials map */
};

/* ---- events ---- */

enum event_kind {
	EVENT_DENIAL = 1,
	EVENT_ENROLL = 2,
	EVENT_EXEC = 3,
	EVENT_LOAD = 4,
	EVENT_RELOAD = 5,
	EVENT_POD_END = 6,
	EVENT_UPGRADE = 7,
	EVENT_SEAL = 8,
};

enum op {
	OP_NONE = 0,
	OP_OPEN = 1,
	OP_EXEC = 2,
	OP_CONNECT = 3,
	OP_BIND = 4,
	OP_SEND = 5,
	OP_LISTEN = 6,
	OP_SOCKET = 7,
	OP_SETUID = 8,
	OP_CAPSET = 9,
	OP_GAIN = 10, /* an exec that would gain privilege */
	OP_PTRACE = 11,
	OP_TRACEME = 12,
	OP_BPF = 13,
	OP_ENROLL = 14,
	OP_CAPABLE = 15,
	OP_RECEIVE = 16, /* a descriptor, from another process */
	OP_SOCKOPT = 17,
	OP_MARK = 18, /* setting or removing a mark */
	OP_CREATE = 19,
	OP_MKNOD = 20,
	OP_MKDIR = 21,
	OP_SYMLINK = 22,
	OP_LINK = 23,
	OP_UNLINK = 24,
	OP_RMDIR = 25,
	OP_RENAME = 26,
	OP_TRUNCATE = 27,
	OP_CHMOD = 28,
	OP_CHOWN = 29,
	OP_UTIMES = 30,
	OP_XATTR = 31,
	OP_ACL = 32,
	OP_FILEATTR = 33,    /* chattr and the like */
	OP_URING_CREDS = 34, /* an io_uring request under registered credentials */
	OP_GUARD = 35,	     /* change what the jail rests on */
	OP_DEVICE = 36,	     /* a device that is not harmless */
	OP_KERNEL = 37,	     /* write what the kernel is steered by */
	OP_PROC = 38,	     /* another process's entry of /proc */
	OP_MOUNT = 39,	     /* over or from a place that the jail rests on */
	OP_USERNS = 40,
	OP_MODULE = 41,
	OP_SIGNAL = 42,
	OP_PRIORITY = 43, /* priority, limits, scheduling, process group, pages */
	OP_IPC = 44,
	OP_IOCTL = 45,
	OP_MAP_EXEC = 46,
	OP_PERF = 47,
	OP_SYSLOG = 48,
	OP_KEY = 49,
	OP_SET_ID_BIT = 50,
	OP_USERFAULTFD = 51,
	OP_OWNER = 52, /* who gets a descriptor's signals */
	OP_COUNT = 53,
};

/* Why a verdict fell, where no rule and no flag did it. Rule numbers count from 1. */
enum reason {
	REASON_RULE = 0,      /* event.rule decided; 0: the flag */
	REASON_NO_POLICY = 1, /* the role or its policy is gone */
	REASON_NOWHERE = 2,   /* not below any mount of the reference namespace */
	REASON_TOO_DEEP = 3,
	REASON_DELETED = 4,
	REASON_DETACHED = 5, /* not connected to its filesystem's root */
	REASON_UNREADABLE = 6,
	REASON_RACE = 7,   /* renames did not pause long enough */
	REASON_FAMILY = 8, /* socket family or kind off */
	REASON_REACH = 9,  /* the other process is beyond reach */
	REASON_BAD_ADDRESS = 10,
	REASON_ENROLL = 11, /* event.value: enum refusal */
	REASON_NO_GAIN = 12,
	REASON_MORE = 13,   /* the new name would grant more than the old one */
	REASON_FOLDED = 14, /* the filesystem takes other spellings for the same name */
	REASON_GUARD = 15,  /* what the jail itself rests on: closed to every subject */
	REASON_SEALED = 16, /* closed to everybody until the next boot */
};

enum {
	PATH_SIZE = 1024,   /* bytes of a path that an event carries */
	DENIALS = 512,	    /* entries of the denials map, a power of two */
	LIMITS = 4096,	    /* entries of the limits map, a power of two */
	DENIAL_LIMIT = 128, /* denials that a domain may report in a second */
	OTHER_LIMIT = 64,   /* other events in a second */
};

/* In the ring buffer an event ends after path_len bytes of path, padded to 8. */
struct event {
	__u64 number; /* counts up; place in the denials map */
	__u64 time;   /* CLOCK_BOOTTIME, ns */
	__u64 pod;
	__u64 domain;
	__u64 policy;
	__u32 port;   /* from here to addr: what was refused, and why */
	__u32 value;  /* target pid, capability, bpf command, socket type, enum refusal */
	__u32 op;     /* enum op */
	__u32 access; /* enum access, for files; enum role_flag, for what only a flag governs */
	__u32 reason; /* enum reason */
	__u32 rule;
	__s32 error;
	__u32 permissive; /* 1: reported only */
	__u32 family;
	__u32 protocol;
	__u8 addr[16];
	__u32 kind; /* enum event_kind */
	__u32 role;
	__u32 pid; /* of the process, in the initial pid namespace */
	__u32 tid;
	__u32 uid;
	__u32 repeats;	  /* this denial came again so often since it was first reported */
	__u32 suppressed; /* denials of this domain that were not reported before this one */
	__u32 device;	  /* s_dev of the file's filesystem */
	__u32 path_len;	  /* bytes in path, which is inside that filesystem */
	__u32 path_cut;	  /* 1: the path is longer */
	__u8 comm[16];
	__u8 path[1280]; /* PATH_SIZE, and room for the name that does not fit */
};

enum counter {
	COUNT_DENIED = 0,     /* what a permissive role let pass not included */
	COUNT_LOST = 1,	      /* events that found the buffer full */
	COUNT_FAULT = 2,      /* denied because something could not be read or found */
	COUNT_NO_STORAGE = 3, /* no memory for a list: forks, execs, moves, accesses after one */
	COUNT_REPEATED = 4,   /* denials that were only counted, because they came again */
	COUNT_SUPPRESSED = 5, /* denials over the limit of their domain */
	COUNT_WOULD_DENY = 6, /* refused by a permissive role, that is, not refused */
	COUNTERS = 7,
};

/* What the jail rests on: key and value of the guarded map. */
struct guard_key {
	__u64 ino;
	__u32 device; /* s_dev */
	__u32 generation;
};

enum guard_flag {
	GUARD_TREE = 1 << 0,	   /* this file, or this directory and all beneath it */
	GUARD_ABOVE = 1 << 1,	   /* a directory above: not moved, removed or mounted over */
	GUARD_BINARY = 1 << 2,	   /* our program */
	GUARD_PINS = 1 << 3,	   /* the directory of our pins, or beneath it */
	GUARD_PINS_ABOVE = 1 << 4, /* above that */
};

/* Kinds of the guarded_objects map; key: kind << 32 | id. */
enum guard_object {
	GUARD_MAP = 1,
	GUARD_PROGRAM = 2,
	GUARD_LINK = 3,
};

/* Values of the guarded_objects map. */
enum guard_use {
	GUARD_READ = 1,	 /* of a map: after a seal our program reads it */
	GUARD_WRITE = 2, /* it writes it, too: requests and what is told, no policy */
};

/* What the descriptor iterator prints for each path descriptor of its reader. */
struct path_identity {
	struct guard_key key;
	__u32 fd;
	__u32 pad;
};

/* What the task iterator prints for each subject. */
struct subject_info {
	__u32 pid;
	__u32 tid;
	__u32 depth;
	__u32 uid;
	__u8 comm[16];
	struct member list[8];
};

#endif
