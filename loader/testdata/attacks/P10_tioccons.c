/*
 * id: P10
 * tries: have what is written to the console
 * role: permissive
 * args: 0x541d
 * control: 0x5413
 * expect: EPERM
 * as: root
 */
#include "P10_tiocsti.c"
