// Package launcher goes from a request to the exec of a command inside a jail: find
// the command, arm the calling thread, drop what must not be inherited, exec in place.
//
//	err := launcher.Run(launcher.Spec{Roles: []uint32{3}, Command: []string{"nginx"}})
//	// Run returns only on failure
//
// The command never runs unjailed: every doubt is an error before the exec.
//
// # Limitations
//
// A binary without its symbol table resets some ignored and blocked signals; see Run.
package launcher
