package main

import (
	"bytes"
	"debug/elf"
	"encoding/json"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// kernelSpec is one line of scripts/kernels.txt.
type kernelSpec struct {
	name, suite, pattern string
}

func parseKernels(text string) ([]kernelSpec, error) {
	var specs []kernelSpec
	for i, f := range table(text) {
		if len(f) != 3 {
			return nil, fmt.Errorf("kernels.txt: entry %d: have %d fields, want NAME SUITE PACKAGE", i+1, len(f))
		}
		specs = append(specs, kernelSpec{f[0], f[1], f[2]})
	}
	return specs, nil
}

// table splits a text into the fields of its lines, without comments and empty lines.
func table(text string) [][]string {
	var rows [][]string
	for line := range strings.Lines(text) {
		line, _, _ = strings.Cut(line, "#")
		if f := strings.Fields(line); len(f) > 0 {
			rows = append(rows, f)
		}
	}
	return rows
}

func findKernel(specs []kernelSpec, name string) (kernelSpec, error) {
	var names []string
	for _, k := range specs {
		if k.name == name {
			return k, nil
		}
		names = append(names, k.name)
	}
	return kernelSpec{}, fmt.Errorf("unknown kernel %q (have %s; they are listed in scripts/kernels.txt)", name, strings.Join(names, ", "))
}

// kernel is a kernel in the cache: dir holds vmlinuz, release, modules/ and modules.json.
type kernel struct {
	dir     string
	release string // uname -r
}

func (k kernel) image() string { return filepath.Join(k.dir, "vmlinuz") }

// getKernel returns a kernel from the cache, and fetches it first if it is not there.
func getKernel(c cache, spec kernelSpec) (kernel, error) {
	dir, err := c.once("kernel-"+spec.name, func(tmp string) error { return fetchKernel(spec, tmp) })
	if err != nil {
		return kernel{}, fmt.Errorf("kernel %s: %w", spec.name, err)
	}
	release, err := os.ReadFile(filepath.Join(dir, "release"))
	return kernel{dir, strings.TrimSpace(string(release))}, err
}

func fetchKernel(spec kernelSpec, dir string) error {
	a, err := newApt(filepath.Join(dir, "apt"), spec.suite)
	if err != nil {
		return err
	}
	image, err := a.newest(spec.pattern)
	if err != nil {
		return err
	}
	packages := []string{image}
	if rest, split := strings.CutPrefix(image, "linux-binary-"); split {
		packages = append(packages, "linux-modules-"+rest, "linux-base-"+rest)
	}
	root := filepath.Join(dir, "root")
	if err := a.unpack(root, false, nil, packages...); err != nil {
		return err
	}

	// Before 7.1: /boot/vmlinuz-V and /lib/modules/V. Since: both in /usr/lib/modules/V.
	modules, err := glob1(root, "lib/modules/*", "usr/lib/modules/*")
	if err != nil {
		return err
	}
	vmlinuz, err := glob1(root, "boot/vmlinuz-*", "usr/lib/modules/*/vmlinuz")
	if err != nil {
		return err
	}
	release := filepath.Base(modules)
	index, err := indexModules(modules)
	if err != nil {
		return err
	}
	for _, err := range []error{
		os.WriteFile(filepath.Join(dir, "release"), []byte(release+"\n"), 0o644),
		os.WriteFile(filepath.Join(dir, "modules.json"), index, 0o644),
		os.Rename(vmlinuz, filepath.Join(dir, "vmlinuz")),
		os.Rename(filepath.Join(modules, "kernel"), filepath.Join(dir, "modules")),
		os.RemoveAll(root),
		os.RemoveAll(a.dir),
	} {
		if err != nil {
			return err
		}
	}
	return nil
}

// glob1 returns the one path below root that matches one of the patterns.
func glob1(root string, patterns ...string) (string, error) {
	var found []string
	for _, p := range patterns {
		m, err := filepath.Glob(filepath.Join(root, p))
		if err != nil {
			return "", err
		}
		found = append(found, m...)
	}
	if len(found) != 1 {
		return "", fmt.Errorf("unpacked package: have %d of %s, want one", len(found), strings.Join(patterns, " or "))
	}
	return found[0], nil
}

// A moduleIndex says where each module is and what it needs. Debian's packages hold no
// modules.dep: depmod would make it on installation.
type moduleIndex struct {
	Modules map[string]module
	Aliases map[string]string // other name -> module; only aliases without wildcards
	Builtin []string          // names and aliases of what is part of the kernel itself
}

type module struct {
	Path    string   // below the folder modules/
	Needs   []string // must be loaded before
	Prefers []string // should be, if there ("softdep pre")
}

// moduleName gives the one spelling of a module's name: file names may have a dash.
func moduleName(path string) string {
	name, _, _ := strings.Cut(filepath.Base(path), ".ko")
	return strings.ReplaceAll(name, "-", "_")
}

// indexModules reads /lib/modules/V and returns its index as JSON.
func indexModules(dir string) ([]byte, error) {
	index := moduleIndex{Modules: map[string]module{}, Aliases: map[string]string{}}
	top := filepath.Join(dir, "kernel")
	err := filepath.WalkDir(top, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.Contains(d.Name(), ".ko") {
			return err
		}
		image, err := readModule(path)
		if err != nil {
			return err
		}
		info, err := modinfo(image)
		if err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		name := moduleName(path)
		m := module{}
		m.Path, _ = filepath.Rel(top, path)
		for _, field := range info {
			key, value, _ := strings.Cut(field, "=")
			switch key {
			case "depends":
				for _, d := range strings.FieldsFunc(value, func(r rune) bool { return r == ',' }) {
					m.Needs = append(m.Needs, moduleName(d))
				}
			case "softdep":
				if pre, ok := strings.CutPrefix(value, "pre:"); ok {
					pre, _, _ = strings.Cut(pre, "post:")
					m.Prefers = append(m.Prefers, strings.Fields(pre)...)
				}
			case "alias":
				if !strings.ContainsAny(value, "*?[") {
					index.Aliases[moduleName(value)] = name
				}
			}
		}
		index.Modules[name] = m
		return nil
	})
	if err != nil {
		return nil, err
	}

	builtin, err := os.ReadFile(filepath.Join(dir, "modules.builtin"))
	if err != nil {
		return nil, err
	}
	for _, path := range strings.Fields(string(builtin)) {
		index.Builtin = append(index.Builtin, moduleName(path))
	}
	return json.Marshal(index)
}

// readModule returns a module as the kernel wants it, decompressed.
func readModule(path string) ([]byte, error) {
	switch filepath.Ext(path) {
	case ".xz":
		return output(exec.Command("xz", "-dc", path))
	case ".zst":
		return output(exec.Command("zstd", "-dcq", path))
	}
	return os.ReadFile(path)
}

// modinfo returns the KEY=VALUE fields of a module's .modinfo section.
func modinfo(image []byte) ([]string, error) {
	f, err := elf.NewFile(bytes.NewReader(image))
	if err != nil {
		return nil, err
	}
	section := f.Section(".modinfo")
	if section == nil {
		return nil, fmt.Errorf("no .modinfo section")
	}
	data, err := section.Data()
	if err != nil {
		return nil, err
	}
	return strings.FieldsFunc(string(data), func(r rune) bool { return r == 0 }), nil
}

// modules returns the paths of the named modules and of all they need, in loading order.
func (k kernel) modules(names []string) ([]string, error) {
	var index moduleIndex
	data, err := os.ReadFile(filepath.Join(k.dir, "modules.json"))
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(data, &index); err != nil {
		return nil, err
	}
	order, err := index.resolve(names)
	if err != nil {
		return nil, fmt.Errorf("kernel %s: %w", k.release, err)
	}
	for i := range order {
		order[i] = filepath.Join(k.dir, "modules", order[i])
	}
	return order, nil
}

func (index moduleIndex) resolve(names []string) ([]string, error) {
	var order []string
	seen := map[string]bool{}
	var visit func(name string, must bool) error
	visit = func(name string, must bool) error {
		name = moduleName(name)
		if slices.Contains(index.Builtin, name) {
			return nil
		}
		m, ok := index.Modules[name]
		if !ok {
			name = index.Aliases[name]
			m, ok = index.Modules[name]
		}
		if !ok && must {
			return fmt.Errorf("no such module (have %d, such as %s)", len(index.Modules), strings.Join(firstSorted(index.Modules, 3), ", "))
		}
		if !ok || seen[name] {
			return nil
		}
		seen[name] = true
		for _, need := range m.Needs {
			if err := visit(need, true); err != nil {
				return fmt.Errorf("%s: %w", need, err)
			}
		}
		for _, want := range m.Prefers {
			if err := visit(want, false); err != nil {
				return err
			}
		}
		order = append(order, m.Path)
		return nil
	}
	for _, name := range names {
		if err := visit(name, true); err != nil {
			return nil, fmt.Errorf("module %s: %w", name, err)
		}
	}
	return order, nil
}

func firstSorted(m map[string]module, n int) []string {
	names := slices.Sorted(maps.Keys(m))
	return names[:min(n, len(names))]
}
