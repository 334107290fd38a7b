// Package firststage starts a command in a jail before there is a Go runtime.
//
// The linker makes [entry] the program's first instruction (see the Makefile). It reads
// the words that the kernel left on the stack; where they are a plain
//
//	jail run --role ROLE [--role ROLE]... [--pod N] [--] COMMAND [ARG]...
//
// with built-in roles, and the kernel part is loaded, it arms the process and executes
// the command with some ten system calls, on the one thread, with the signals, limits and
// descriptors of the caller untouched. The configuration is not read: built-in roles do
// not depend on it.
//
// What a set-user-ID bit gave is given up first. On any doubt - another flag, file
// capabilities, a refusal, a command that cannot be executed - it withdraws what it armed and starts the Go runtime, which does
// the same from the beginning and explains. So it decides nothing, and without it, as
// after a plain `go build`, only the start takes longer.
package firststage
