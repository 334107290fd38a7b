package loader

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"

	"jail/bpf"
)

// nameLength is how much of a name the kernel keeps of a map or a program.
const nameLength = 15

// kernelName is what the kernel keeps of a name.
func kernelName(name string) string { return name[:min(len(name), nameLength)] }

// named tells whether the kernel's name for an object is that of its pin.
func named(kernel, pin string) bool {
	return kernel != "" && kernelName(kernel) == kernelName(pin)
}

// pins is what is pinned below [Dir] and was found to be jail's.
type pins struct {
	Pinned
	sets map[set]*pinnedSet
	// Foreign says of everything else where it is and why it is not jail's.
	Foreign []string
}

// pinnedSet is what is pinned of one set.
type pinnedSet struct {
	maps  map[string]ebpf.MapID
	links map[string]pinnedLink
	used  map[ebpf.MapID]bool // by the programs of its links
}

type pinnedLink struct {
	program *ebpf.ProgramInfo
	id      ebpf.ProgramID
}

// foreign is nil where everything is jail's.
func (p *pins) foreign() error {
	if len(p.Foreign) == 0 {
		return nil
	}
	return fmt.Errorf("%s: %w", strings.Join(p.Foreign, "; "), ErrForeign)
}

func (p *pins) refuse(path, why string, args ...any) {
	p.Foreign = append(p.Foreign, path+": "+fmt.Sprintf(why, args...))
}

// readPins looks at everything below [Dir]. An error means that it could not look.
func readPins() (*pins, error) {
	p := &pins{sets: make(map[set]*pinnedSet)}
	if _, err := os.Lstat(Dir); errors.Is(err, os.ErrNotExist) {
		return p, nil
	}
	if !p.directory(Dir) {
		return p, nil
	}
	var st unix.Statfs_t
	if err := unix.Statfs(Dir, &st); err != nil {
		return nil, fmt.Errorf("%s: %w", Dir, err)
	}
	if st.Type != unix.BPF_FS_MAGIC {
		p.refuse(Dir, "another file system is mounted there")
		return p, nil
	}
	kinds, err := os.ReadDir(Dir)
	if err != nil {
		return nil, err
	}
	for _, kind := range kinds {
		of := filepath.Join(Dir, kind.Name())
		if !slices.Contains([]string{mapsDir, progsDir, linksDir}, of) {
			p.refuse(of, "unknown")
			continue
		}
		if !p.directory(of) {
			continue
		}
		sets, err := os.ReadDir(of)
		if err != nil {
			return nil, err
		}
		for _, e := range sets {
			s, ok := parseSet(e.Name())
			if !ok {
				p.refuse(filepath.Join(of, e.Name()), "unknown")
				continue
			}
			if p.sets[s] == nil {
				p.sets[s] = &pinnedSet{maps: make(map[string]ebpf.MapID), links: make(map[string]pinnedLink), used: make(map[ebpf.MapID]bool)}
			}
			if err := p.readSet(s, of); err != nil {
				return nil, err
			}
		}
	}
	p.checkUse()
	return p, nil
}

// directory tells whether there is a directory of root's.
func (p *pins) directory(path string) bool {
	var st unix.Stat_t
	err := unix.Lstat(path, &st)
	switch {
	case err != nil:
		p.refuse(path, "%v", err)
	case st.Mode&unix.S_IFMT != unix.S_IFDIR:
		p.refuse(path, "not a directory")
	case st.Uid != 0:
		p.refuse(path, "belongs to uid %d", st.Uid)
	default:
		return true
	}
	return false
}

func (p *pins) readSet(s set, of string) error {
	dir := s.dir(of)
	if !p.directory(dir) {
		return nil
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	var spec *ebpf.CollectionSpec
	if s.mine() {
		if spec, err = embedded(); err != nil {
			return err
		}
	}
	for _, e := range entries {
		path := filepath.Join(dir, e.Name())
		var st unix.Stat_t
		if err := unix.Lstat(path, &st); err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		if st.Uid != 0 {
			p.refuse(path, "belongs to uid %d", st.Uid)
			continue
		}
		var wrong error
		switch {
		case of == progsDir && e.IsDir() && strings.HasPrefix(e.Name(), wholePrefix):
		case e.IsDir():
			wrong = errors.New("unknown")
		case of == mapsDir:
			wrong = p.readMap(s, e.Name(), path, spec)
		case of == progsDir:
			wrong = p.readProgram(e.Name(), path)
		default:
			wrong = p.readLink(s, e.Name(), path, spec)
		}
		for _, errno := range []unix.Errno{unix.ENOMEM, unix.EMFILE, unix.ENFILE, unix.EROFS} { // opening a pin is writing
			if errors.Is(wrong, errno) {
				return fmt.Errorf("%s: %w", path, errno)
			}
		}
		if wrong != nil {
			p.refuse(path, "%v", wrong)
		}
	}
	return nil
}

func (p *pins) readMap(s set, name, path string, spec *ebpf.CollectionSpec) error {
	m, err := ebpf.LoadPinnedMap(path, &ebpf.LoadPinOptions{ReadOnly: true})
	if err != nil {
		return fmt.Errorf("not a map: %w", translate(err))
	}
	defer m.Close()
	info, err := m.Info()
	if err != nil {
		return err
	}
	if !named(info.Name, name) {
		return fmt.Errorf("is a map named %q", info.Name)
	}
	if spec != nil {
		want := spec.Maps[name]
		if want == nil {
			return errors.New("unknown")
		}
		if err := sameShape(want, m); err != nil {
			return err
		}
	}
	p.Maps++
	p.sets[s].maps[name], _ = info.ID()
	return nil
}

func (p *pins) readProgram(name, path string) error {
	prog, err := ebpf.LoadPinnedProgram(path, nil)
	if err != nil {
		return fmt.Errorf("not a program: %w", translate(err))
	}
	defer prog.Close()
	info, err := prog.Info()
	if err != nil {
		return err
	}
	if !named(info.Name, name) || !onDemand(prog.Type()) {
		return fmt.Errorf("is a program of type %s named %q", prog.Type(), info.Name)
	}
	p.Programs++
	return nil
}

func (p *pins) readLink(s set, name, path string, spec *ebpf.CollectionSpec) error {
	l, err := link.LoadPinnedLink(path, nil)
	if err != nil {
		return fmt.Errorf("not a link: %w", translate(err))
	}
	defer l.Close()
	id, info, err := programOf(l)
	if err != nil {
		return err
	}
	if !named(info.Name, name) || info.Type != ebpf.LSM && info.Type != ebpf.Tracing {
		return fmt.Errorf("links a program of type %s named %q", info.Type, info.Name)
	}
	if spec != nil {
		if want := spec.Programs[name]; want == nil || want.Type != info.Type {
			return errors.New("unknown")
		}
	}
	p.Links++
	ps := p.sets[s]
	ps.links[name] = pinnedLink{program: info, id: id}
	return nil
}

// programOf tells what a link calls.
func programOf(l link.Link) (ebpf.ProgramID, *ebpf.ProgramInfo, error) {
	info, err := l.Info()
	if err != nil {
		return 0, nil, err
	}
	prog, err := ebpf.NewProgramFromID(info.Program)
	if err != nil {
		return 0, nil, fmt.Errorf("program %d: %w", info.Program, translate(err))
	}
	defer prog.Close()
	about, err := prog.Info()
	return info.Program, about, err
}

// checkUse refuses links of programs that share no map with any other pin of their set:
// somebody else's, of the same names.
func (p *pins) checkUse() {
	for s, ps := range p.sets {
		users := make(map[ebpf.MapID]int)
		for _, id := range ps.maps {
			users[id]++
		}
		for _, l := range ps.links {
			ids, _ := l.program.MapIDs()
			for _, id := range ids {
				users[id]++
			}
		}
		for name, l := range ps.links {
			ids, _ := l.program.MapIDs()
			if len(ids) > 0 && len(ps.links)+len(ps.maps) > 1 && !slices.ContainsFunc(ids, func(id ebpf.MapID) bool { return users[id] > 1 }) {
				p.refuse(filepath.Join(s.dir(linksDir), name), "program %d uses none of the maps that are pinned with it", l.id)
				delete(ps.links, name)
				p.Links--
				continue
			}
			for _, id := range ids {
				ps.used[id] = true
			}
		}
	}
}

// linked tells whether any program of any set is attached.
func (p *pins) linked() bool {
	for _, ps := range p.sets {
		if len(ps.links) > 0 {
			return true
		}
	}
	return false
}

// takeOver closes the directory, where there is one, to everyone but root.
func takeOver() error {
	info, err := os.Stat(Dir)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil || info.Mode().Perm() == 0o700 { // after a seal it cannot be set, either
		return err
	}
	return os.Chmod(Dir, 0o700)
}

// restore pins again what only lost its pin: maps that the attached programs use, and links
// that somebody still holds.
func (p *pins) restore() error {
	spec, err := embedded()
	if err != nil {
		return err
	}
	names := mapNames(spec)
	for s, ps := range p.sets {
		if len(ps.links) == 0 {
			continue
		}
		if err := s.makeDirs(); err != nil {
			return err
		}
		for id := range ps.used {
			if err := ps.restoreMap(s, id, names); err != nil {
				return err
			}
		}
		if s.mine() {
			if err := ps.restoreLinks(s, spec); err != nil {
				return err
			}
		}
	}
	return nil
}

// mapNames lists a build's maps by the kernel's names for them.
func mapNames(spec *ebpf.CollectionSpec) map[string]string {
	names := make(map[string]string)
	for name := range spec.Maps {
		if !strings.HasPrefix(name, ".") {
			names[kernelName(name)] = name
		}
	}
	return names
}

func (ps *pinnedSet) restoreMap(s set, id ebpf.MapID, names map[string]string) error {
	m, err := ebpf.NewMapFromID(id)
	if err != nil {
		return fmt.Errorf("map %d: %w", id, translate(err))
	}
	defer m.Close()
	info, err := m.Info()
	if err != nil {
		return err
	}
	if strings.Contains(info.Name, ".") { // constants: they live with the programs
		return nil
	}
	name := names[info.Name]
	if name == "" {
		name = info.Name // of another version
	}
	if _, pinned := ps.maps[name]; pinned {
		return nil
	}
	if err := m.Pin(filepath.Join(s.dir(mapsDir), name)); err != nil {
		return fmt.Errorf("pin map %s: %w", name, translate(err))
	}
	ps.maps[name] = id
	step("restored")
	return nil
}

// restoreLinks finds links of this build's set that are attached and no longer pinned: another
// program on their hook would count everything twice.
func (ps *pinnedSet) restoreLinks(s set, spec *ebpf.CollectionSpec) error {
	known := make(map[ebpf.MapID]bool)
	for id := range ps.used {
		known[id] = true
	}
	for _, id := range ps.maps {
		known[id] = true
	}
	held := make(map[ebpf.ProgramID]bool)
	for _, l := range ps.links {
		held[l.id] = true
	}
	it := new(link.Iterator)
	defer it.Close()
	for it.Next() {
		info, err := it.Link.Info()
		if err != nil || held[info.Program] || info.Program == 0 {
			continue
		}
		id, program, err := programOf(it.Link)
		if err != nil { // it may just have gone
			continue
		}
		name := program.Name
		_, pinned := ps.links[name]
		ids, _ := program.MapIDs()
		if pinned || spec.Programs[name] == nil || !slices.ContainsFunc(ids, func(id ebpf.MapID) bool { return known[id] }) {
			continue
		}
		if !slices.ContainsFunc(ids, func(id ebpf.MapID) bool { return instanceIn(id, spec) == s.number }) {
			continue
		}
		if err := it.Link.Pin(filepath.Join(s.dir(linksDir), name)); err != nil {
			return fmt.Errorf("pin link %s: %w", name, translate(err))
		}
		ps.links[name] = pinnedLink{program: program, id: id}
	}
	if err := it.Err(); err != nil && !errors.Is(err, os.ErrPermission) { // another's, guarded as ours are
		return fmt.Errorf("links that are attached: %w", err)
	}
	return nil
}

// instanceIn is the number of the set whose constants a map holds, or 0.
func instanceIn(id ebpf.MapID, spec *ebpf.CollectionSpec) uint32 {
	v := spec.Variables[bpf.JailVarInstance]
	m, err := ebpf.NewMapFromID(id)
	if v == nil || err != nil {
		return 0
	}
	defer m.Close()
	info, err := m.Info()
	if err != nil || !strings.HasSuffix(info.Name, v.SectionName) {
		return 0
	}
	data, err := m.LookupBytes(uint32(0))
	if err != nil || len(data) < int(v.Offset)+4 {
		return 0
	}
	return binary.NativeEndian.Uint32(data[v.Offset:])
}

// sameTags refuses to mend a set whose pins hold other programs than this build's.
func (ps *pinnedSet) sameTags(s set, programs map[string]*ebpf.Program) error {
	for name, l := range ps.links {
		prog := programs[name]
		if prog == nil {
			continue
		}
		info, err := prog.Info()
		if err != nil {
			return fmt.Errorf("program %s: %w", name, err)
		}
		if info.Tag != l.program.Tag {
			return fmt.Errorf("%s: program %d has the tag %s, not %s: %w", filepath.Join(s.dir(linksDir), name), l.id, l.program.Tag, info.Tag, ErrForeign)
		}
	}
	return nil
}
