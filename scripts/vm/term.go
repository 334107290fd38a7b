package main

import (
	"os"
	"syscall"
	"unsafe"
)

// terminalSize returns the size of the terminal at standard input, zero if it is none.
func terminalSize() winsize {
	var size winsize
	_ = ioctl(os.Stdin.Fd(), syscall.TIOCGWINSZ, unsafe.Pointer(&size))
	return size
}

// saveTerminal returns a function that sets the terminal at standard input back to what it is now,
// in case QEMU is killed and cannot.
func saveTerminal() (restore func()) {
	var state syscall.Termios
	if ioctl(os.Stdin.Fd(), syscall.TCGETS, unsafe.Pointer(&state)) != nil {
		return func() {}
	}
	return func() { _ = ioctl(os.Stdin.Fd(), syscall.TCSETS, unsafe.Pointer(&state)) }
}
