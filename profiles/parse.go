package profiles

import (
	"fmt"
	"io/fs"
	"path"
	"strings"
)

// Parse reads one profile. The file's name is used in messages and places only. A
// profile with any mistake is not loaded: the error, an ErrorList, has them all.
func Parse(file string, data []byte) (*Profile, error) {
	var errs ErrorList
	p := parse(file, data, &errs)
	checkIdentity(p.Roles, &errs)
	checkNames(p.RuleSets, &errs)
	if err := errs.err(); err != nil {
		return nil, err
	}
	return p, nil
}

// parse reads a profile but leaves what concerns several roles to its caller.
func parse(file string, data []byte, errs *ErrorList) *Profile {
	p := &Profile{File: file}
	if len(data) > MaxFileSize {
		errs.add(Place{File: file}, "larger than %d bytes", MaxFileSize)
		return p
	}
	if root := readDocument(file, data, errs); root != nil {
		d := decoder{errs: errs, source: string(data)}
		decodeTable(&d, root, "profile", profileKeys, p)
	}
	return p
}

// Files lists the profiles of a directory, in order: each *.toml that is not hidden.
func Files(dir fs.FS) ([]string, error) {
	entries, err := fs.ReadDir(dir, ".")
	if err != nil {
		return nil, err
	}
	var names []string
	for _, e := range entries {
		name := e.Name()
		if strings.HasSuffix(name, ".toml") && !strings.HasPrefix(name, ".") && !e.IsDir() {
			names = append(names, name)
		}
	}
	return names, nil
}

// ReadFiles parses files of a directory. The directory's name goes before each file's
// in places and messages. Who owns the files is the caller's concern.
func ReadFiles(dir fs.FS, dirName string, names []string) ([]*Profile, error) {
	var (
		list []*Profile
		errs ErrorList
	)
	for _, name := range names {
		p, err := readFile(dir, name, path.Join(dirName, name))
		switch err := err.(type) {
		case nil:
			list = append(list, p)
		case ErrorList:
			errs = append(errs, err...)
		default:
			return nil, err
		}
	}
	return list, errs.err()
}

func readFile(dir fs.FS, name, shown string) (*Profile, error) {
	info, err := fs.Stat(dir, name)
	if err != nil {
		return nil, fmt.Errorf("profile %s: %w", shown, err)
	}
	if info.Size() > MaxFileSize {
		return nil, ErrorList{{Place: Place{File: shown}, Message: fmt.Sprintf("larger than %d bytes", MaxFileSize)}}
	}
	data, err := fs.ReadFile(dir, name)
	if err != nil {
		return nil, fmt.Errorf("profile %s: %w", shown, err)
	}
	return Parse(shown, data)
}
