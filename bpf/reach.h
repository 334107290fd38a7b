/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Reach to a process of which there is only a raw address: its list is read from its task
 * storage by address, as the helpers take a task from the hook's own arguments only.
 */
#ifndef JAIL_REACH_H
#define JAIL_REACH_H

#include "core.h"

enum {
	STORAGES = 32, /* BPF maps that one task may have storage in */
	PIDTYPE_PID = 0,
};

struct storage_search {
	__u64 at; /* hlist_node in a bpf_local_storage_elem */
	__u64 data;
	__u32 map; /* id of the map whose entry is wanted */
	__u32 pad;
};

static long storage_one(__u32 i, struct storage_search *f)
{
	struct bpf_local_storage_map *map;
	struct bpf_local_storage_elem *e;
	struct hlist_node *node = (void *)f->at; /* CO-RE would relocate f as well */

	if (!node)
		return 1;
	e = (void *)node - bpf_core_field_offset(struct bpf_local_storage_elem, snode);
	map = BPF_CORE_READ(e, sdata.smap);
	if (BPF_CORE_READ(map, map.id) == f->map) {
		f->data =
			(__u64)e + bpf_core_field_offset(struct bpf_local_storage_elem, sdata.data);
		return 1;
	}
	f->at = (__u64)BPF_CORE_READ(node, next);
	return 0;
}

/* Is the process beyond reach of this pid, or does it have the subject's list at its head? */
__noinline int reaches_pid(struct subject *s, __u64 address)
{
	struct task_struct *t, *self = bpf_get_current_task_btf();
	struct pid *pid = (struct pid *)address;
	struct bpf_local_storage *storage;
	struct storage_search f = {};
	__u32 depth = 0;
	__u64 node;

	if (!s)
		return 0;
	node = (__u64)BPF_CORE_READ(pid, tasks[PIDTYPE_PID].first);
	if (!node)
		return 1; /* gone: there is nobody to act on */
	t = (void *)node - bpf_core_field_offset(struct task_struct, pid_links);
	if (BPF_CORE_READ(t, tgid) == self->tgid)
		return 1;
	storage = BPF_CORE_READ(t, bpf_storage);
	if (!storage)
		return 0;
	f.at = (__u64)BPF_CORE_READ(storage, list.first);
	f.map = id_of(&subjects);
	bpf_loop(STORAGES, storage_one, &f, 0);
	if (!f.data || bpf_probe_read_kernel(&depth, sizeof(depth), (void *)f.data))
		return 0;
	if (!depth || s->depth > depth)
		return 0;
	for (__u32 i = 0; i < ROLE_DEPTH; i++) {
		struct member m = {};

		if (i >= s->depth)
			break;
		if (bpf_probe_read_kernel(&m, sizeof(m),
					  (void *)f.data +
						  __builtin_offsetof(struct subject, list) +
						  i * sizeof(m)))
			return 0;
		if (m.domain != s->list[i].domain || m.role != s->list[i].role ||
		    ((m.flags ^ s->list[i].flags) & MEMBER_PERMISSIVE))
			return 0;
	}
	return 1;
}

#endif
