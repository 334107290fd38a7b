package profiles

import (
	"embed"
	"io/fs"
	"sync"
)

// The built-in roles and rule sets, one to a file. A file that is put here is found.
//
//go:embed builtin/*.toml
var builtinFiles embed.FS

// Parsed when they are first asked for: many commands need none.
var builtin = sync.OnceValue(func() *Profile {
	var (
		errs ErrorList
		all  = &Profile{File: "builtin"}
	)
	names, err := fs.Glob(builtinFiles, "builtin/*.toml")
	if err != nil {
		panic(err)
	}
	for _, name := range names {
		data, err := builtinFiles.ReadFile(name)
		if err != nil {
			panic(err)
		}
		p := parse(name, data, &errs)
		all.Roles = append(all.Roles, p.Roles...)
		all.RuleSets = append(all.RuleSets, p.RuleSets...)
	}
	if err := errs.err(); err != nil {
		panic(err) // covered by every test
	}
	for _, r := range all.Roles {
		r.Builtin = true
	}
	for _, s := range all.RuleSets {
		s.Builtin = true
	}
	return all
})
