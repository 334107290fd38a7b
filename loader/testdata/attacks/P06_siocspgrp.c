/*
 * id: P06
 * tries: have the kernel signal whoever memory names, by a socket's ioctl
 * role: permissive
 * args: 0x8902
 * control: 0x5421
 * expect: EPERM
 */
#include "P06_fiosetown.c"
