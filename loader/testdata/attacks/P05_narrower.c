/*
 * id: P05
 * tries: signal a process of a narrower role in another jail
 * role: permissive
 * args: /run/jail-test/pid-worker
 * control: child
 * expect: EPERM
 * as: root
 */
#include "P05_other_pod.c"
