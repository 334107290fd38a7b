/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * The few kernel types that the programs read, relocated by CO-RE, and kernel
 * constants that BTF does not carry. Only the members that are used.
 */
#ifndef JAIL_KERNEL_H
#define JAIL_KERNEL_H

#include <linux/types.h>

#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_tracing.h>
#include <bpf/bpf_endian.h>

/* not in BTF: errno values */
enum {
	EPERM = 1,
	ENOENT = 2,
	EAGAIN = 11,
	EBADF = 9,
	ENOMEM = 12,
	EACCES = 13,
	EBUSY = 16,
	EINVAL = 22,
	ENOSPC = 28,
	E2BIG = 7,
	EFAULT = 14,
	EEXIST = 17,
	EOVERFLOW = 75,
	ENODATA = 61,
	EOPNOTSUPP = 95,
	ENOPARAM = 519,
};

/* not in BTF: flags and magic numbers */
enum {
	FMODE_READ = 0x1,
	FMODE_WRITE = 0x2,
	FMODE_EXEC_FLAG = 0x20,	   /* __FMODE_EXEC in f_flags */
	FMODE_BACKING = 0x2000000, /* 6.8+: the lower file of a stacked filesystem */
	O_CREAT = 0100,
	O_TRUNC = 01000,
	O_TMPFILE_FLAG = 020000000, /* __O_TMPFILE */
	S_IFMT = 0170000,
	S_IFCHR = 0020000,
	S_IFSOCK = 0140000,
	S_IFDIR = 0040000,
	S_IFREG = 0100000,
	S_CASEFOLD = 1 << 15,	    /* inode->i_flags */
	DCACHE_OP_COMPARE = 1 << 1, /* dentry->d_flags */
	DCACHE_OP_REVALIDATE = 1 << 2,
	ATTR_TIMES_SET = 1 << 16,
	ATTR_TOUCH = 1 << 17,
	PF_IO_WORKER = 0x10,
	RENAME_EXCHANGE = 1 << 1,
	FS_IOC_SETFLAGS = 0x40086602,
	FS_IOC32_SETFLAGS = 0x40046602,
	FS_IOC_SETVERSION = 0x40087602,
	FS_IOC32_SETVERSION = 0x40047602,
	FS_IOC_FSSETXATTR = 0x401c5820,
	FS_IOC_SETFSLABEL = 0x41009432,
	FS_IOC_SET_ENCRYPTION_POLICY = 0x800c6613,
	FS_IOC_ENABLE_VERITY = 0x40806685,
	IOC_TYPE_BTRFS = 0x94,
	S_ISUID = 0004000,
	S_ISGID = 0002000,
	S_IXGRP = 0000010,
	SB_NOUSER = 1U << 31, /* kernel-internal filesystem: pipes, sockets, memfd */
	PROC_SUPER_MAGIC = 0x9fa0,
	NSFS_MAGIC = 0x6e736673,
	EXT4_SUPER_MAGIC = 0xef53,
	TMPFS_MAGIC = 0x01021994,
	PR_SET_MM = 35,
	PR_SET_MM_EXE_FILE = 13,
	PR_SET_MM_MAP = 14,
	PF_KTHREAD = 0x200000,
	PFA_NO_NEW_PRIVS = 0, /* bit of task->atomic_flags */
	SIGKILL = 9,
	PTRACE_MODE_READ = 1,
	PTRACE_MODE_ATTACH = 2,
	PTRACE_MODE_NOAUDIT = 4,
	MSG_FASTOPEN = 0x20000000,
	CAP_SYS_MODULE = 16,
	CAP_SYS_CHROOT = 18,
	CAP_SYS_ADMIN = 21,
	CAP_PERFMON = 38,
	CAP_BPF = 39,
	CAP_OPT_NOAUDIT = 2,
	CAP_DAC_READ_SEARCH = 2,
	CAP_NET_ADMIN = 12,
	CAP_SYS_RAWIO = 17,
	CAP_SYS_PACCT = 20,
	CAP_SYS_BOOT = 22,
	CAP_SYS_TIME = 25,
	CAP_SYS_TTY_CONFIG = 26,
	CAP_MKNOD = 27,
	CAP_AUDIT_CONTROL = 30,
	CAP_MAC_OVERRIDE = 32,
	CAP_MAC_ADMIN = 33,
	CAP_SYSLOG = 34,
	CAP_AUDIT_READ = 37,
	CAP_CHECKPOINT_RESTORE = 40,
	S_IFBLK = 0060000,
	O_PATH_FLAG = 010000000, /* O_PATH */
	PROT_WRITE = 2,
	PROT_EXEC = 4,
	ATTR_MODE = 1,
	SYSFS_MAGIC = 0x62656572,
	BPFFS_MAGIC = 0xcafe4a11,
	TRACEFS_MAGIC = 0x74726163,
	DEBUGFS_MAGIC = 0x64626720,
	SECURITYFS_MAGIC = 0x73636673,
	BINFMT_MAGIC = 0x42494e4d,
	EFIVARFS_MAGIC = (int)0xde5e81e4,
	CGROUP_MAGIC = 0x27e0eb,
	CGROUP2_MAGIC = 0x63677270,
	TIOCSTI = 0x5412,
	TIOCLINUX = 0x541c,
	TIOCCONS = 0x541d,
	TIOCSETD = 0x5423,
	FIOSETOWN = 0x8901,
	SIOCSPGRP = 0x8902,
	F_SETOWN = 8,
	F_SETOWN_EX = 15,
	READING_FIRMWARE = 1,
	READING_MODULE = 2,
	READING_POLICY = 5,
	READING_X509 = 6,
	MS_REMOUNT = 0x20,
	XATTR_CREATE = 1,
	PERF_EVENT_IOC_SET_BPF = 0x40042408,
};

/* Values that differ between kernels: read with bpf_core_enum_value(). */
enum lockdown_reason {
	LOCKDOWN_INTEGRITY_MAX = 16,
	LOCKDOWN_KCORE = 17,
	LOCKDOWN_KPROBES = 18,
};

#define F2FS_SUPER_MAGIC 0xf2f52010UL
#define MNT_NS_INTERNAL ((__u64) - 22) /* ERR_PTR(-EINVAL): a mount of the kernel's own */
#define MARK_NAME "security.bpf.jail"

enum {
	AF_UNSPEC = 0,
	AF_UNIX = 1,
	AF_INET = 2,
	AF_INET6 = 10,
	AF_NETLINK = 16,
	SOCK_STREAM = 1,
	SOCK_DGRAM = 2,
	SOCK_RAW = 3,
	SOCK_TYPE_MASK = 0xf,
	IPPROTO_IP = 0,
	IPPROTO_ICMP = 1,
	IPPROTO_TCP = 6,
	IPPROTO_UDP = 17,
	IPPROTO_DCCP = 33,
	IPPROTO_ICMPV6 = 58,
	IPPROTO_SCTP = 132,
	IPPROTO_UDPLITE = 136,
	IPPROTO_MPTCP = 262,
	NETLINK_ROUTE = 0,
	IPPROTO_IPV6 = 41,
	IP_OPTIONS = 4,
	IP_RETOPTS = 7,
	IPV6_2292RTHDR = 5,
	IPV6_2292PKTOPTIONS = 6,
	IPV6_RTHDR = 57,
	INADDR_LOOPBACK = 0x7f000001,
	SUN_PATH_SIZE = 108,
	SOCKFS_MAGIC = 0x534f434b,
};

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

typedef struct {
	unsigned int val;
} kuid_t;

typedef struct {
	unsigned int val;
} kgid_t;

struct user_namespace {
	int level;
};

struct group_info {
	int ngroups;
	kgid_t gid[0];
};

struct cred {
	kuid_t uid, suid, euid, fsuid;
	kgid_t gid, egid;
	struct group_info *group_info;
	struct {
		__u64 val;
	} cap_permitted; /* the kernel changed its members: read as 8 raw bytes */
	struct {
		__u64 val;
	} cap_inheritable;
	struct user_namespace *user_ns;
};

struct hlist_node {
	struct hlist_node *next;
};

struct hlist_head {
	struct hlist_node *first;
};

struct bpf_map {
	__u32 id;
	char name[16];
	struct {
		__s64 counter;
	} refcnt, usercnt, writecnt;
};

struct bpf_local_storage_map {
	struct bpf_map map;
};

struct bpf_local_storage_data {
	struct bpf_local_storage_map *smap;
	__u8 data[];
};

struct bpf_local_storage_elem {
	struct hlist_node snode;
	struct bpf_local_storage_data sdata;
};

struct bpf_local_storage {
	struct hlist_head list;
};

struct file;

struct upid {
	int nr;
};

struct pid {
	unsigned int level;
	struct hlist_head tasks[4];
	struct upid numbers[1];
};

struct ns_common {
	unsigned int inum;
};

struct mnt_namespace {
	struct ns_common ns;
	__u64 event; /* counts changes of the mount table */
};

struct nsproxy {
	struct mnt_namespace *mnt_ns;
};

struct mm_struct {
	struct file *exe_file;
};

struct list_head {
	struct list_head *next, *prev;
};

struct kernfs_node {
	const char *name;
};

struct cgroup;

struct cgroup_subsys_state {
	struct cgroup *cgroup;
	struct cgroup_subsys_state *parent;
};

struct cgroup {
	struct cgroup_subsys_state self;
	int level;
	struct kernfs_node *kn;
};

struct css_set {
	struct cgroup *dfl_cgrp;
};

struct fdtable {
	unsigned int max_fds;
	struct file **fd;
};

struct files_struct {
	struct fdtable *fdt;
};
struct io_uring_task;
struct nameidata;

typedef struct {
	unsigned long sig[1];
} sigset_t;
struct sigpending {
	sigset_t signal;
};

struct task_struct {
	struct sigpending pending;
	struct nameidata *nameidata;
	struct bpf_local_storage *bpf_storage;
	const struct cred *real_cred;
	const struct cred *cred;
	struct task_struct *real_parent;
	struct nsproxy *nsproxy;
	struct task_struct *group_leader;
	struct pid *thread_pid;
	struct hlist_node pid_links[4];
	struct mm_struct *mm;
	unsigned long atomic_flags;
	unsigned int flags;
	unsigned int ptrace;
	struct list_head ptraced;
	__u64 start_boottime;
	struct files_struct *files;
	struct css_set *cgroups;
	unsigned in_execve : 1;
	struct io_uring_task *io_uring;
	int pid;
	int tgid;
	char comm[16];
};

struct super_block {
	__u32 s_dev;
	unsigned long s_flags;
	unsigned long s_magic;
	struct dentry *s_root;
};

struct inode {
	__u16 i_mode;
	unsigned int i_flags;
	unsigned int i_nlink;
	kuid_t i_uid;
	__u32 i_rdev;
	__u32 i_generation;
	unsigned long i_ino;
	struct super_block *i_sb;
};

struct qstr {
	struct {
		__u32 hash;
		__u32 len;
	};
	const unsigned char *name;
};

struct hlist_bl_node {
	struct hlist_bl_node *next, **pprev;
};

struct dentry {
	unsigned int d_flags;
	struct hlist_bl_node d_hash;
	struct dentry *d_parent;
	struct qstr d_name;
	struct inode *d_inode;
	struct super_block *d_sb;
};

struct seqcount {
	unsigned int sequence;
};

struct vfsmount {
	struct dentry *mnt_root;
	struct super_block *mnt_sb;
};

struct mount {
	struct mount *mnt_parent;
	struct dentry *mnt_mountpoint;
	struct vfsmount mnt;
	struct list_head mnt_mounts;
	struct list_head mnt_child;
	struct mnt_namespace *mnt_ns;
	int mnt_group_id;
};

struct path {
	struct vfsmount *mnt;
	struct dentry *dentry;
};

struct nameidata {
	struct path path;
};

struct file {
	unsigned int f_mode;
	unsigned int f_flags;
	struct inode *f_inode;
	struct path f_path;
};

struct iattr {
	unsigned int ia_valid;
	__u16 ia_mode;
};

struct anon_vma;

struct vm_area_struct {
	struct file *vm_file;
	struct anon_vma *anon_vma;
};

struct fs_context;

struct fs_parameter {
	const char *key;
};

struct kern_ipc_perm;
struct kernel_siginfo;
struct fown_struct;
struct rlimit;

struct key_type {
	const char *name;
};

struct keyring_index_key {
	struct key_type *type;
};

struct key {
	struct keyring_index_key index_key;
};

struct bpf_prog;

struct bpf_prog_aux {
	__u32 id;
	__u32 used_map_cnt;
	__u32 attach_btf_id;
	struct bpf_prog *dst_prog;
	struct bpf_map **used_maps;
	char name[16];
};

struct bpf_prog {
	enum bpf_prog_type type;
	enum bpf_attach_type expected_attach_type;
	struct bpf_prog_aux *aux;
};

struct proc_inode {
	struct pid *pid;
	struct inode vfs_inode;
};

struct linux_binprm {
	struct file *file;
	struct cred *cred;
	const char *filename;
};

struct sockaddr {
	__u16 sa_family;
};

struct in6_addr {
	union {
		__u32 u6_addr32[4];
	} in6_u;
};

struct in_addr {
	__u32 s_addr;
};

struct sockaddr_in {
	__u16 sin_family;
	__u16 sin_port;
	struct in_addr sin_addr;
};

struct sockaddr_in6 {
	__u16 sin6_family;
	__u16 sin6_port;
	__u32 sin6_flowinfo;
	struct in6_addr sin6_addr;
};

struct sock_common {
	__u16 skc_family;
	__u16 skc_num;
	__u16 skc_dport;
	__u32 skc_daddr;
	__u32 skc_rcv_saddr;
	struct in6_addr skc_v6_daddr;
	struct in6_addr skc_v6_rcv_saddr;
};

struct bpf_local_storage;

struct sock {
	struct sock_common __sk_common;
	__u16 sk_protocol;
	__u16 sk_type;
	struct bpf_local_storage *sk_bpf_storage;
};

struct sockaddr_un {
	__u16 sun_family;
	char sun_path[108];
};

struct unix_address {
	int len;
	struct sockaddr_un name[0];
};

struct unix_sock {
	struct unix_address *addr;
	struct path path;
	struct sock *peer;
};

struct socket {
	short type;
	struct sock *sk;
};

struct msghdr {
	void *msg_name;
	int msg_namelen;
	void *msg_control;
	unsigned long msg_controllen;
	unsigned int msg_flags;
};

struct seq_file;
struct bpf_iter_meta {
	struct seq_file *seq;
};
struct bpf_iter__task_file {
	struct bpf_iter_meta *meta;
	struct task_struct *task;
	__u32 fd;
	struct file *file;
};
struct bpf_iter__bpf_prog {
	struct bpf_iter_meta *meta;
	struct bpf_prog *prog;
};
struct bpf_iter__bpf_map {
	struct bpf_iter_meta *meta;
	struct bpf_map *map;
};
struct bpf_iter__task {
	struct bpf_iter_meta *meta;
	struct task_struct *task;
};

#pragma clang attribute pop

/* 6.2; inlined: only the verifier has work with it */
extern void *bpf_rdonly_cast(const void *address, __u32 type) __ksym __weak;

/*
 * One member by a raw address, 0 where there is no memory, as BPF_CORE_READ. Where the
 * kernel gives an address its type this is a load, else a call of some 35 instructions.
 */
#define PEEK(from, member)                                                                         \
	({                                                                                         \
		typeof((from)->member) value_;                                                     \
		if (bpf_rdonly_cast)                                                               \
			value_ = ((typeof(from))bpf_rdonly_cast(                                   \
					  (from), bpf_core_type_id_kernel(typeof(*(from)))))       \
					 ->member;                                                 \
		else                                                                               \
			value_ = BPF_CORE_READ(from, member);                                      \
		value_;                                                                            \
	})

/*
 * A pointer that a typed one holds, to be compared, or read on from by PEEK() alone. The
 * plain load has 6.2 to 6.18 search the names of all of the kernel's types, up to four times
 * whenever the verifier comes by, to say whether it is trusted (btf_nested_type_is_trusted):
 * that was half of what a load of all programs took.
 */
#define UNTYPED(from, member)                                                                      \
	({                                                                                         \
		typeof((from)->member) value_;                                                     \
		if (bpf_rdonly_cast)                                                               \
			value_ = PEEK(from, member);                                               \
		else                                                                               \
			value_ = (from)->member;                                                   \
		value_;                                                                            \
	})

#endif
