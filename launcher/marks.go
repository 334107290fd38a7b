package launcher

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"golang.org/x/sys/unix"
)

// MarksFile is the record of all marks: a package upgrade replaces a file and its mark is
// gone, a file system may hold none, and the kernel part's tables end with a reboot.
const MarksFile = "/var/lib/jail/marks.json"

// MarkAttribute is the extended attribute that a mark is.
const MarkAttribute = "security.bpf.jail"

// Mark says that an executable enters a role.
type Mark struct {
	Path string `json:"path"` // without symbolic links
	Role string `json:"role"` // name
	ID   uint32 `json:"id"`   // of the role
	Pod  uint64 `json:"pod,omitempty"`
}

// errMalformed is a mark of a form that this version does not know.
var errMalformed = errors.New("malformed mark")

const markVersion = 1

// Bytes is the attribute's value.
func (m Mark) Bytes() []byte {
	b := binary.LittleEndian.AppendUint32(nil, markVersion)
	b = binary.LittleEndian.AppendUint32(b, m.ID)
	return binary.LittleEndian.AppendUint64(b, m.Pod)
}

// OpenMarkable opens a file that can be marked, and gives its path without symbolic links.
func OpenMarkable(name string) (f *os.File, real string, err error) {
	if real, err = filepath.Abs(name); err == nil {
		real, err = filepath.EvalSymlinks(real)
	}
	if err != nil {
		return nil, "", err
	}
	f, err = os.OpenFile(real, unix.O_RDONLY|unix.O_NONBLOCK|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, "", err
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%s: is not a regular file", real)
	}
	if err != nil {
		_ = f.Close()
		return nil, "", err
	}
	return f, real, nil
}

// SetAttribute writes the mark on the file. held tells whether its file system can hold it.
func (m Mark) SetAttribute(f *os.File) (held bool, err error) {
	fd := int(f.Fd())
	if err = unix.Fsetxattr(fd, MarkAttribute, m.Bytes(), unix.XATTR_CREATE); errors.Is(err, unix.EEXIST) {
		held := make([]byte, len(m.Bytes())+1)
		if n, rerr := unix.Fgetxattr(fd, MarkAttribute, held); rerr == nil && bytes.Equal(held[:n], m.Bytes()) {
			return true, nil
		}
		err = unix.Fsetxattr(fd, MarkAttribute, m.Bytes(), 0) // refused after a seal
	}
	if errors.Is(err, unix.EOPNOTSUPP) {
		return false, nil
	}
	if err != nil {
		err = fmt.Errorf("%s: set %s: %w", f.Name(), MarkAttribute, err)
	}
	return err == nil, err
}

// RemoveAttribute takes the mark off the file, if there is one.
func RemoveAttribute(f *os.File) error {
	err := unix.Fremovexattr(int(f.Fd()), MarkAttribute)
	if err == nil || errors.Is(err, unix.ENODATA) || errors.Is(err, unix.EOPNOTSUPP) {
		return nil
	}
	return fmt.Errorf("%s: remove %s: %w", f.Name(), MarkAttribute, err)
}

// Attribute reads the mark off the file. found is false where there is none; a mark that
// cannot be understood is an error, as it is for the exec.
func Attribute(f *os.File) (id uint32, pod uint64, found bool, err error) {
	buf := make([]byte, 17)
	n, err := unix.Fgetxattr(int(f.Fd()), MarkAttribute, buf)
	switch {
	case errors.Is(err, unix.ENODATA) || errors.Is(err, unix.EOPNOTSUPP):
		return 0, 0, false, nil
	case errors.Is(err, unix.ERANGE):
		return 0, 0, false, errMalformed
	case err != nil:
		return 0, 0, false, err
	case n != 16 || binary.LittleEndian.Uint32(buf) != markVersion:
		return 0, 0, false, errMalformed
	}
	return binary.LittleEndian.Uint32(buf[4:]), binary.LittleEndian.Uint64(buf[8:]), true, nil
}

// ReadMarks reads the record; without one there are no marks.
func ReadMarks(file string) ([]Mark, error) {
	f, err := os.OpenFile(file, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var st unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &st); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	if st.Uid != 0 || st.Mode&0o022 != 0 || st.Mode&unix.S_IFMT != unix.S_IFREG {
		return nil, fmt.Errorf("%s: must be a regular file that belongs to root and that nobody else can write", file)
	}
	var record struct {
		Version int    `json:"version"`
		Marks   []Mark `json:"marks"`
	}
	decoder := json.NewDecoder(f)
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&record); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	if record.Version != markVersion {
		return nil, fmt.Errorf("%s: version %d, this program knows %d", file, record.Version, markVersion)
	}
	return record.Marks, nil
}

// EditMarks changes the record under a lock: whole or not at all.
func EditMarks(file string, edit func([]Mark) ([]Mark, error)) error {
	dir := filepath.Dir(file)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	lock, err := os.OpenFile(dir, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer lock.Close()
	if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX); err != nil {
		return fmt.Errorf("lock %s: %w", dir, err)
	}
	marks, err := ReadMarks(file)
	if err != nil {
		return err
	}
	if marks, err = edit(marks); err != nil {
		return err
	}
	slices.SortFunc(marks, func(a, b Mark) int {
		switch {
		case a.Path < b.Path:
			return -1
		case a.Path > b.Path:
			return 1
		}
		return 0
	})
	data, err := json.MarshalIndent(map[string]any{"version": markVersion, "marks": append([]Mark{}, marks...)}, "", "  ")
	if err != nil {
		return err
	}
	temp, err := os.CreateTemp(dir, ".marks-*")
	if err != nil {
		return err
	}
	_, err = temp.Write(append(data, '\n'))
	err = errors.Join(err, temp.Chmod(0o600), temp.Sync(), temp.Close())
	if err == nil {
		err = os.Rename(temp.Name(), file)
	}
	if err != nil {
		return errors.Join(err, os.Remove(temp.Name()))
	}
	return lock.Sync()
}

// HoldsAttributes tells whether the file's file system can hold a mark.
func HoldsAttributes(f *os.File) bool {
	_, err := unix.Fgetxattr(int(f.Fd()), MarkAttribute, nil)
	return !errors.Is(err, unix.EOPNOTSUPP)
}
