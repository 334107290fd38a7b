/*
 * id: N22
 * tries: connect by io_uring, from the kernel's polling thread
 * role: webserver
 * args: 2 127.0.0.1 9999
 * control: 2 127.0.0.1 8080
 * expect: EACCES
 */
#include "N22_uring.c"
