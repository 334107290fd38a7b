// Package bpf holds the LSM programs and maps, compiled and embedded, and the Go
// bindings that bpf2go makes of them: the kernel half of jail.
//
// The C is in jail.bpf.c and one header per area; abi.h is what both halves share.
// Use the loader package to load it: this package only carries it.
//
// # Limitations
//
// Little-endian machines only. See README.md for the table of hooks and known gaps.
package bpf

//go:generate go tool bpf2go -cc clang-19 -strip llvm-strip-19 -target bpfel -go-package bpf -type policy -type role -type start_key -type page -type subject -type pending -type member -type domain -type pod -type control -type tally -type limit -type event -type subject_info -type role_flag -type socket_kind -type file_state -type refusal -type op -type reason -type counter -type event_kind -type access -type prctl -type abi -type start_kind -type role_state -type table_start -type told -type member_flag -type subject_flag -type unix_access -type entrant -type entrant_kind -type stamp -type stamp_flag -type entrance -type entrance_flag -type file_key -type path_key -type cgroup_key -type ways -type mark -type identity -type identify_op -type trust -type guard_flag -type guard_object -type guard_key -type path_identity -type guard_use -type seal -type sealing -type map_use -type program_use -type admission -type admit_op -type room -type room_state Jail jail.bpf.c -- -I/usr/include/x86_64-linux-gnu -O2 -Wall -Werror -mcpu=v3
