/*
 * id: N30
 * tries: make a map of sockets, through which packets pass from one to another
 * role: webserver
 * control-role: admin
 * expect: EPERM
 * as: root
 */
#include "attack.h"
#include <linux/bpf.h>

int attack(int argc, char **argv)
{
	union bpf_attr attr = {
		.map_type = BPF_MAP_TYPE_SOCKMAP, .key_size = 4, .value_size = 4, .max_entries = 1
	};

	TRY(syscall(SYS_bpf, BPF_MAP_CREATE, &attr, sizeof(attr)));
	return 0;
}
