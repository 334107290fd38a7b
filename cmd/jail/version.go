// SPDX-License-Identifier: MIT

package main

import (
	"runtime"
	"runtime/debug"
)

// Version is set at link time; otherwise what Go knows about the build is printed.
var Version string

type versionCmd struct{}

// Run prints the version.
func (versionCmd) Run(a *app) error {
	v := Version
	if v == "" {
		v = "(devel)"
		if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
			v = info.Main.Version
		}
	}
	a.printf("jail %s %s/%s %s\n", v, runtime.GOOS, runtime.GOARCH, runtime.Version())
	return nil
}
