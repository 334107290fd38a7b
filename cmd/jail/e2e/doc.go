// Package e2e holds the tests that run the installed program in a VM, as a person
// would: real commands, as root and as an ordinary user. Built with the tag vm.
package e2e
