/*
 * id: F52
 * tries: what a process outside the jail executes
 * role: worker
 * args: parent exe
 * control: child exe
 * expect: EACCES
 * as: root
 */
#include "F52_descriptors.c"
