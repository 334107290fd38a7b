/*
 * id: P10
 * tries: paste into a console
 * role: permissive
 * args: 0x541c
 * control: 0x5413
 * expect: EPERM
 */
#include "P10_tiocsti.c"
