package loader

import "errors"

var (
	// ErrNotLoaded means that no programs answer: nothing would be enforced.
	ErrNotLoaded = errors.New("jail is not loaded")
	// ErrNotSupported means that this kernel, as it was started, cannot enforce.
	ErrNotSupported = errors.New("not supported by this kernel")
	// ErrNotRoot means that the caller may not do this.
	ErrNotRoot = errors.New("needs root")
	// ErrABI means that the pinned maps belong to another version of jail.
	ErrABI = errors.New("pinned by another version of jail")
	// ErrUpgraded means that the programs that act now are another version's, whose events
	// this program cannot read.
	ErrUpgraded = errors.New("jail was upgraded: start again to read the events of the new programs")
	// ErrBusy means that subjects still live.
	ErrBusy = errors.New("processes are still jailed")
	// ErrClosed means that the programs are there but take nobody in: another process is
	// loading or unloading them, or the load is not whole.
	ErrClosed = errors.New("enrollment is closed")
	// ErrNotWhole means that programs are attached, and some of the pins are gone or were
	// never made.
	ErrNotWhole = errors.New("the pins are not whole")
	// ErrForeign means that something below [Dir] is not jail's, or not root's.
	ErrForeign = errors.New("not jail's")
	// ErrJailed means that the caller is itself in a jail.
	ErrJailed = errors.New("refused inside a jail")
	// ErrNoEnforcement means that the self-test saw no denial.
	ErrNoEnforcement = errors.New("the self-test was not refused: the kernel attaches the programs but does not call them")
	// ErrSealed means that a change is not let come until the next boot.
	ErrSealed = errors.New("sealed until the next boot")
	// ErrNoRoom means that a seal set no more room aside for roles that come after it.
	ErrNoRoom = errors.New("the room that the seal set aside for new roles is used up: until the next boot, or until jails with rules of their own end")
	// ErrHeld means that a seal would not hold: somebody has hold of what is ours.
	ErrHeld = errors.New("not sealed: maps or programs of jail are held by others")
	// ErrIdentity means that a role's id or name belongs to another role that is loaded.
	ErrIdentity = errors.New("an id and a name stay together until jail is unloaded")
)
