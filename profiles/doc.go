// Package profiles turns TOML profiles into roles, and roles into the compiled
// policies that the kernel part evaluates. It makes no kernel calls and reads no
// files: its caller does, and knows whom to trust.
//
//	profile, err := profiles.Parse("/etc/jail/roles.d/web.toml", text)
//	if err != nil {
//		return err // every mistake, each as file:line:column: message
//	}
//	set, err := profiles.NewSet(profile)
//	if err != nil {
//		return err
//	}
//	role, ok := set.Lookup("webserver")
//	if !ok {
//		return errNoSuchRole
//	}
//	policy, err := role.Compile(profiles.Env{
//		Mounts: []profiles.Mount{{Device: 8<<20 | 1, Root: "/", Point: "/"}},
//		Magic:  profiles.DefaultMagic(),
//	})
//
// The format is described in README.md, the layout of a policy in bpf/abi.h.
//
// # How it fits together
//
//	TOML text --Parse--> Profile --NewSet--> Set of Roles --Compile--> Policy
//
// Parse knows one file. NewSet joins files and the built-in roles, and resolves
// includes. Compile needs to know the machine (Env): mounts, symlinks, variables.
//
// A Policy answers questions in two ways that must agree: Match and Verdict apply
// the definition of precedence directly; EvalPath and EvalNetwork walk the compiled
// tables as the kernel does.
//
// # Limitations
//
//   - `?` and `[a-z]` stand for one byte, not for one character beyond ASCII.
//   - Rules whose `**` patterns differ multiply the automaton's states. Where telling
//     apart which rule decided would exceed the limit, the automaton keeps only the
//     access below a match and reports rule 0; Match still names the rule.
//   - A rule for an IPv6 prefix shorter than ::ffff:0:0/96 says nothing about IPv4.
//   - A policy holds the patterns of `devices`, not device numbers: who loads it looks up
//     which nodes match, then. One that appears later stays closed until the next load.
package profiles
