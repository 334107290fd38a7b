package profiles

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
