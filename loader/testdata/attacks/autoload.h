/* SPDX-License-Identifier: MIT */
#ifndef AUTOLOAD_H
#define AUTOLOAD_H

#include "attack.h"

/* What the harness has as modprobe leaves this file. */
#define MODPROBE_RAN "/run/jail-test/modprobe-ran"

/* EPERM: the kernel did not run modprobe for what was asked before. */
static inline int module_requested(void)
{
	return unlink(MODPROBE_RAN) ? EPERM : 0;
}

#endif
