#!/bin/bash
# dracut's module for jail: one hook and what it runs; jail itself is in the root.

check() {
	return 0
}

depends() {
	return 0
}

install() {
	inst_multiple chroot mount umount
	# shellcheck disable=SC2154 # dracut sets moddir
	inst_hook pre-pivot 90 "$moddir/jail-load.sh"
}
