package main

import (
	"bufio"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// cpioWriter writes an initramfs: a cpio archive of the form "newc".
// Parent folders are added as needed; everything belongs to root.
type cpioWriter struct {
	w    *bufio.Writer
	ino  int
	dirs map[string]bool
}

func newCpio(w io.Writer) *cpioWriter {
	return &cpioWriter{w: bufio.NewWriterSize(w, 1<<20), dirs: map[string]bool{"": true, ".": true}}
}

// File types in a cpio mode, as in stat(2).
const (
	cpioDir     = 0o040000
	cpioFile    = 0o100000
	cpioSymlink = 0o120000
)

func (c *cpioWriter) header(name string, mode uint32, size int64) error {
	if size > 0xffffffff {
		return fmt.Errorf("%s: %d bytes do not fit into an initramfs", name, size)
	}
	c.ino++
	// magic, inode, mode, uid, gid, links, mtime, size, device, rdev, length of name, checksum
	if _, err := fmt.Fprintf(c.w, "070701%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%s\x00",
		c.ino, mode, 0, 0, 1, 0, size, 0, 0, 0, 0, len(name)+1, 0, name); err != nil {
		return err
	}
	return c.pad(110 + int64(len(name)) + 1)
}

// pad fills up to the next multiple of four.
func (c *cpioWriter) pad(written int64) error {
	_, err := c.w.WriteString("\x00\x00\x00"[:(4-written%4)%4])
	return err
}

func (c *cpioWriter) dir(name string, perm fs.FileMode) error {
	name = strings.Trim(filepath.Clean("/"+name), "/")
	if c.dirs[name] {
		return nil
	}
	if err := c.dir(filepath.Dir(name), 0o755); err != nil {
		return err
	}
	c.dirs[name] = true
	return c.header(name, cpioDir|uint32(perm.Perm()), 0)
}

func (c *cpioWriter) data(name string, perm uint32, size int64, r io.Reader) error {
	name = strings.Trim(filepath.Clean("/"+name), "/")
	if err := c.dir(filepath.Dir(name), 0o755); err != nil {
		return err
	}
	if err := c.header(name, perm, size); err != nil {
		return err
	}
	if n, err := io.Copy(c.w, io.LimitReader(r, size)); err != nil {
		return err
	} else if n != size {
		return fmt.Errorf("%s: read %d bytes of %d: did it change meanwhile?", name, n, size)
	}
	return c.pad(size)
}

func (c *cpioWriter) bytes(name string, perm fs.FileMode, text string) error {
	return c.data(name, cpioFile|uint32(perm.Perm()), int64(len(text)), strings.NewReader(text))
}

func (c *cpioWriter) symlink(name, target string) error {
	return c.data(name, cpioSymlink|0o777, int64(len(target)), strings.NewReader(target))
}

// tree adds a host's file, or folder with all below it, under the given name.
// A symbolic link given by the caller is followed, those inside a folder are kept.
func (c *cpioWriter) tree(host, name string) error {
	host, err := filepath.EvalSymlinks(host)
	if err != nil {
		return err
	}
	return filepath.WalkDir(host, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		rel, _ := filepath.Rel(host, path)
		to := filepath.Join(name, rel)
		switch info.Mode().Type() {
		case 0:
			f, err := os.Open(path)
			if err != nil {
				return err
			}
			defer f.Close()
			return c.data(to, cpioFile|unixPerm(info.Mode()), info.Size(), f)
		case fs.ModeDir:
			return c.dir(to, info.Mode())
		case fs.ModeSymlink:
			target, err := os.Readlink(path)
			if err != nil {
				return err
			}
			return c.symlink(to, target)
		}
		return fmt.Errorf("%s: cannot copy a %s into the guest", path, info.Mode().Type())
	})
}

// unixPerm is the permission bits with setuid, setgid and sticky where the kernel has them.
func unixPerm(mode fs.FileMode) uint32 {
	perm := uint32(mode.Perm())
	for goBit, bit := range map[fs.FileMode]uint32{fs.ModeSetuid: 0o4000, fs.ModeSetgid: 0o2000, fs.ModeSticky: 0o1000} {
		if mode&goBit != 0 {
			perm |= bit
		}
	}
	return perm
}

func (c *cpioWriter) close() error {
	if err := c.header("TRAILER!!!", 0, 0); err != nil {
		return err
	}
	return c.w.Flush()
}
