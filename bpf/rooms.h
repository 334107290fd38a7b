/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * What may come after a seal: roles with ids that nobody had, and less for those that are
 * there.
 *
 *   admit_role   puts policies into rooms that were set aside before the seal, and narrows others
 *
 * It rests on nothing that it is told, whoever runs it: a page is written only while no role
 * has the policy in that room; a role is shown whole, under a new id; what a role has it keeps,
 * but for bits that are taken away. The room of an ad-hoc role is free again when no domain is
 * left that entered it. Policy ids, and those of ad-hoc roles, are counted here.
 */
#ifndef JAIL_ROOMS_H
#define JAIL_ROOMS_H

#include "seal.h"
#include "file.h"

/* The flags that take something away. */
#define RESTRICTIONS REQUIRE_SIGNATURE

struct fill {
	void *inner;
	__u64 policy;
	__u32 at;
	__u32 states_at;
	int err;
};

/* The i-th of what is listed there; NULL: outside of the tables. */
static __always_inline struct table_start *listed(const struct fill *f, __u32 i)
{
	return table_at(f->inner, f->at + i * sizeof(struct table_start),
			sizeof(struct table_start));
}

static long put_start(__u32 i, struct fill *f)
{
	struct start_key key = { .policy_id = f->policy };
	struct table_start *s = listed(f, i);
	__u32 *state, value;

	f->err = EINVAL;
	if (!s)
		return 1;
	key.kind = s->kind;
	key.value = s->value;
	state = table_at(f->inner, f->states_at + i * sizeof(*state), sizeof(*state));
	if (!state)
		return 1;
	value = *state;
	f->err = bpf_map_update_elem(&starts, &key, &value, BPF_ANY) ? ENOSPC : 0;
	return f->err != 0;
}

static long put_entrant(__u32 i, struct fill *f)
{
	struct entrant key = { .policy_id = f->policy };
	struct table_start *s = listed(f, i);
	__u32 one = 1;

	f->err = EINVAL;
	if (!s)
		return 1;
	key.kind = s->kind;
	key.id = s->value;
	f->err = bpf_map_update_elem(&entrants, &key, &one, BPF_ANY) ? ENOSPC : 0;
	return f->err != 0;
}

static long drop_start(__u32 i, struct fill *f)
{
	struct start_key key = { .policy_id = f->policy };
	struct table_start *s = listed(f, i);

	if (!s)
		return 1;
	key.kind = s->kind;
	key.value = s->value;
	bpf_map_delete_elem(&starts, &key);
	return 0;
}

static long drop_entrant(__u32 i, struct fill *f)
{
	struct entrant key = { .policy_id = f->policy };
	struct table_start *s = listed(f, i);

	if (!s)
		return 1;
	key.kind = s->kind;
	key.id = s->value;
	bpf_map_delete_elem(&entrants, &key);
	return 0;
}

/* Where the entrants of a room's policy are listed. */
static __always_inline __u32 entrants_at(const struct room *room)
{
	return room->starts_at + room->starts_len * sizeof(struct table_start);
}

/* The start states and the entrants that the tables list, into the maps. 0, or an errno. */
static __always_inline int fill_maps(struct room *room, void *inner)
{
	struct fill f = { .inner = inner, .policy = room->policy, .at = room->starts_at };

	f.states_at = entrants_at(room) + room->entrants_len * sizeof(struct table_start);
	bpf_loop(room->starts_len, put_start, &f, 0);
	if (f.err)
		return f.err;
	f.at = entrants_at(room);
	bpf_loop(room->entrants_len, put_entrant, &f, 0);
	return f.err;
}

/* And out of them. */
static __always_inline void empty_maps(struct room *room, void *inner)
{
	struct fill f = { .inner = inner, .policy = room->policy, .at = room->starts_at };

	bpf_loop(room->starts_len, drop_start, &f, 0);
	f.at = entrants_at(room);
	bpf_loop(room->entrants_len, drop_entrant, &f, 0);
}

/* A free room gets a policy id, and where that is asked for the id of an ad-hoc role. */
static __always_inline int admit_take(struct admission *ask, struct room *room, struct policy *p)
{
	struct control *c = get_control();

	if (!c || room->state != ROOM_FREE || p->id)
		return EPERM;
	if (ask->starts_len > ADMIT_LIST || ask->entrants_len > ADMIT_LIST)
		return E2BIG;
	room->role = 0;
	if (ask->role) {
		if (c->adhoc >= NO_ROLE - ADHOC_ROLE - 1)
			return EOVERFLOW;
		c->adhoc++;
		room->role = ADHOC_ROLE + c->adhoc;
	}
	c->policies++;
	room->policy = c->policies;
	room->domains = 0;
	room->starts_at = ask->starts_at;
	room->starts_len = ask->starts_len;
	room->entrants_len = ask->entrants_len;
	room->state = ROOM_TAKEN;
	ask->policy = room->policy;
	ask->role = room->role;
	return 0;
}

static __always_inline int admit_write(struct admission *ask, struct room *room, struct policy *p,
				       void *inner)
{
	__u32 index = ask->at;
	struct page *page;

	if (room->state != ROOM_TAKEN || room->policy != ask->policy || p->id)
		return EPERM;
	page = bpf_map_lookup_elem(inner, &index);
	if (!page)
		return EINVAL;
	return bpf_probe_read_kernel(page, sizeof(*page), ask->bytes) ? EFAULT : 0;
}

/* The role's id is stored last: until then nothing leads to what is written. */
static __always_inline int admit_show(struct admission *ask, struct room *room, struct policy *p,
				      void *inner)
{
	struct policy words = ask->words;
	__u32 at = ask->at, role = room->role ? room->role : ask->role, slot = ask->room;
	struct role *r;
	int err;

	if (room->state != ROOM_TAKEN || room->policy != ask->policy || p->id)
		return EPERM;
	if (!role || (!room->role && role >= ADHOC_ROLE))
		return EINVAL;
	r = bpf_map_lookup_elem(&roles, &at);
	if (!r || !at)
		return EINVAL;
	if (r->id)
		return EEXIST;
	if (bpf_map_update_elem(&role_slots, &role, &at, BPF_NOEXIST))
		return EEXIST;
	err = fill_maps(room, inner);
	if (err) {
		empty_maps(room, inner);
		bpf_map_delete_elem(&role_slots, &role);
		return err;
	}
	words.id = 0;
	words.role = role;
	words.slot = slot;
	words.pages = room->pages;
	words.starts = 0;
	words.starts_at = room->starts_at;
	words.starts_len = room->starts_len;
	*p = words;
	r->policy_slot = slot;
	r->flags = 0;
	__builtin_memcpy(r->name, ask->name, sizeof(r->name));
	r->name[sizeof(r->name) - 1] = 0;
	room->state = ROOM_SHOWN;
	__sync_lock_test_and_set(&p->id, room->policy);
	__sync_lock_test_and_set(&r->id, role);
	return 0;
}

/*
 * An ad-hoc role ends. Who enters it counts, and then looks whether the role is there; this
 * takes the role away, and then looks whether anybody counted: one of the two sees the other.
 */
static __always_inline int end_role(struct admission *ask, struct room *room, struct policy *p)
{
	__u32 role = room->role, at = ask->at;
	struct role *r;

	r = bpf_map_lookup_elem(&roles, &at);
	if (!role || !r || r->id != role)
		return EPERM;
	if (*(volatile __u32 *)&room->domains)
		return EBUSY;
	__sync_lock_test_and_set(&r->id, 0);
	if (*(volatile __u32 *)&room->domains) {
		__sync_lock_test_and_set(&r->id, role);
		return EBUSY;
	}
	bpf_map_delete_elem(&role_slots, &role);
	p->id = 0;
	return 0;
}

static __always_inline int admit_leave(struct admission *ask, struct room *room, struct policy *p,
				       void *inner)
{
	int err;

	if (room->state == ROOM_FREE || room->policy != ask->policy)
		return EPERM;
	if (room->state == ROOM_SHOWN) {
		err = end_role(ask, room, p);
		if (err)
			return err;
	}
	empty_maps(room, inner);
	room->policy = 0;
	room->role = 0;
	room->state = ROOM_FREE;
	return 0;
}

/* Bits go, none come; tables, start states and entrants stay. */
static __always_inline int admit_narrow(struct admission *ask)
{
	__u32 role = ask->role, *slot, at;
	struct policy *p;
	struct role *r;

	slot = bpf_map_lookup_elem(&role_slots, &role);
	if (!slot)
		return ENOENT;
	at = *slot;
	r = bpf_map_lookup_elem(&roles, &at);
	if (!r || r->id != role)
		return ENOENT;
	at = r->policy_slot;
	p = bpf_map_lookup_elem(&policies, &at);
	if (!p || !p->id || p->role != role)
		return ENOENT;
	if ((ask->words.flags & ~p->flags & ~RESTRICTIONS) ||
	    (p->flags & ~ask->words.flags & RESTRICTIONS) || (ask->words.families & ~p->families) ||
	    (ask->words.kinds & ~p->kinds) || (ask->words.capabilities & ~p->capabilities))
		return EPERM;
	p->flags = ask->words.flags;
	p->families = ask->words.families;
	p->kinds = ask->words.kinds;
	p->capabilities = ask->words.capabilities;
	return 0;
}

static __always_inline int admit_room(struct admission *ask)
{
	__u32 slot = ask->room;
	struct policy *p;
	struct room *room;
	void *inner;

	room = slot ? bpf_map_lookup_elem(&rooms, &slot) : NULL;
	p = bpf_map_lookup_elem(&policies, &slot);
	inner = bpf_map_lookup_elem(&tables, &slot);
	if (!room || !p || !inner)
		return EINVAL;
	switch (ask->op) {
	case ADMIT_TAKE:
		return admit_take(ask, room, p);
	case ADMIT_WRITE:
		return admit_write(ask, room, p, inner);
	case ADMIT_SHOW:
		return admit_show(ask, room, p, inner);
	case ADMIT_LEAVE:
		return admit_leave(ask, room, p, inner);
	}
	return EINVAL;
}

/* Run by the loader, one at a time. Answers 0 or an errno; EAGAIN: another one is at work. */
SEC("syscall")
int admit_role(struct admission *ask)
{
	__u32 key = 0;
	struct room *turn;
	int err;

	/* The last byte, so that the kernel takes no shorter question. */
	if (ask->bytes[sizeof(ask->bytes) - 1] && ask->op != ADMIT_WRITE)
		return EINVAL;
	if (sealed() != SEAL_ROLES || !own_program() || own_subject())
		return EPERM;
	turn = bpf_map_lookup_elem(&rooms, &key);
	if (!turn)
		return ENOENT;
	if (__sync_val_compare_and_swap(&turn->state, 0, 1))
		return EAGAIN;
	err = ask->op == ADMIT_NARROW ? admit_narrow(ask) : admit_room(ask);
	if (!err && ask->op != ADMIT_TAKE && ask->op != ADMIT_WRITE)
		turn->policy++;
	__sync_lock_test_and_set(&turn->state, 0);
	return err;
}

#endif
