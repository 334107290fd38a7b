/*
 * id: F23
 * tries: mount the whole of a btrfs of which only two subvolumes are mounted
 * role: mounter
 * args: btrfs /srv/btrfs.device /hidden/file subvolid=5
 * control: btrfs /srv/btrfs.device /open/file subvolid=5
 * expect: EACCES
 * as: root
 */
#include "F23_second_mount.c"
