/*
 * id: F23
 * tries: mount a btrfs subvolume elsewhere
 * role: mounter
 * args: btrfs /srv/btrfs.device /file subvol=hidden
 * control: btrfs /srv/btrfs.device /file subvol=open
 * expect: EACCES
 * as: root
 */
#include "F23_second_mount.c"
