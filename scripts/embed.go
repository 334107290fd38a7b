// Package scripts carries the tables that the tools below scripts/ read: which kernels the
// virtual machines boot and which packages their root file system holds.
package scripts

import _ "embed"

// Kernels is scripts/kernels.txt: one kernel per line, NAME SUITE PACKAGE.
//
//go:embed kernels.txt
var Kernels string

// RootfsPackages is scripts/rootfs-packages.txt: one Debian package per line.
//
//go:embed rootfs-packages.txt
var RootfsPackages string
