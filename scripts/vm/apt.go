package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

const debianKeyring = "/usr/share/keyrings/debian-archive-keyring.gpg"

// apt is a private apt: its own sources, lists, cache and empty package database, so that it
// neither sees nor changes what the machine has installed.
type apt struct {
	dir     string
	options []string
}

// newApt fetches the package lists of the given Debian suites into dir.
func newApt(dir string, suites ...string) (*apt, error) {
	for _, sub := range []string{"lists/partial", "cache/archives/partial"} {
		if err := os.MkdirAll(filepath.Join(dir, sub), 0o755); err != nil {
			return nil, err
		}
	}
	sources, err := aptSources(suites)
	if err != nil {
		return nil, err
	}
	for name, text := range map[string]string{"sources.list": strings.Join(sources, "\n") + "\n", "status": ""} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			return nil, err
		}
	}
	a := &apt{dir: dir}
	for _, option := range []string{
		"Dir::Etc::SourceList=" + dir + "/sources.list",
		"Dir::Etc::SourceParts=-",
		"Dir::Etc::Preferences=-",
		"Dir::Etc::PreferencesParts=-",
		"Dir::State::Lists=" + dir + "/lists",
		"Dir::State::Status=" + dir + "/status",
		"Dir::Cache=" + dir + "/cache",
		"Debug::NoLocking=true", // of the machine's own package database; dir is ours alone
		"APT::Sandbox::User=root",
		"APT::Install-Recommends=false",
		"Acquire::Languages=none",
		"Acquire::Retries=3",
		"Acquire::IndexTargets::deb::DEP-11::DefaultEnabled=false",
		"Acquire::IndexTargets::deb::Contents-deb::DefaultEnabled=false",
	} {
		a.options = append(a.options, "-o", option)
	}
	if _, err := a.run("apt-get", "update", "-qq", "--error-on=any"); err != nil {
		return nil, fmt.Errorf("package lists of %s: %w", strings.Join(suites, ", "), err)
	}
	return a, nil
}

// aptSources returns sources.list lines for the suites. The mirrors are the machine's own: no host
// name is written anywhere in this tree.
func aptSources(suites []string) ([]string, error) {
	out, err := output(exec.Command("apt-get", "indextargets",
		"--format", "$(ORIGIN) $(RELEASE) $(REPO_URI)", "Created-By: Packages"))
	if err != nil {
		return nil, fmt.Errorf("the machine's Debian mirror: %w", err)
	}
	var lines []string
	for _, suite := range suites {
		uri := mirrorFor(suite, string(out))
		if uri == "" {
			return nil, fmt.Errorf("no Debian mirror for %s: add Debian to /etc/apt/sources.list.d and run 'apt-get update'", suite)
		}
		lines = append(lines, fmt.Sprintf("deb [signed-by=%s] %s %s main", debianKeyring, uri, suite))
	}
	return lines, nil
}

// mirrorFor picks the address for a suite out of lines "ORIGIN RELEASE URI": that of the suite
// itself, else of any suite in the same archive. Security updates have an archive of their own.
func mirrorFor(suite, targets string) string {
	var uri string
	security := strings.HasSuffix(suite, "-security")
	for line := range strings.Lines(targets) {
		f := strings.Fields(line)
		switch {
		case len(f) != 3 || f[0] != "Debian":
		case f[1] == suite:
			return f[2]
		case uri == "" && strings.HasSuffix(f[1], "-security") == security:
			uri = f[2]
		}
	}
	return uri
}

// newest returns the package with the highest version among those whose whole name matches.
func (a *apt) newest(pattern string) (string, error) {
	re, err := regexp.Compile("^(" + pattern + ")$")
	if err != nil {
		return "", err
	}
	out, err := a.run("apt-cache", "pkgnames")
	if err != nil {
		return "", err
	}
	var best, bestVersion string
	for _, name := range strings.Fields(string(out)) {
		if !re.MatchString(name) {
			continue
		}
		version, err := a.version(name)
		if err != nil {
			return "", err
		}
		if version == "" { // named by another package, not there itself
			continue
		}
		if best == "" || exec.Command("dpkg", "--compare-versions", version, "gt", bestVersion).Run() == nil {
			best, bestVersion = name, version
		}
	}
	if best == "" {
		return "", fmt.Errorf("no package matches %s: mend the pattern in scripts/kernels.txt", pattern)
	}
	return best, nil
}

func (a *apt) version(name string) (string, error) {
	out, err := a.run("apt-cache", "policy", name)
	if err != nil {
		return "", err
	}
	_, after, _ := strings.Cut(string(out), "Candidate: ")
	version, _, _ := strings.Cut(after, "\n")
	if version == "(none)" {
		version = ""
	}
	return version, nil
}

// unpack downloads packages, with all they depend on if closure is set, and unpacks them below root.
func (a *apt) unpack(root string, closure bool, extra []string, packages ...string) error {
	debs := filepath.Join(a.dir, "debs")
	if err := os.MkdirAll(debs, 0o755); err != nil {
		return err
	}
	args := []string{"download", "-qq"}
	if closure {
		debs = filepath.Join(a.dir, "cache", "archives")
		args = []string{"install", "-qq", "-y", "--download-only"}
	}
	if _, err := a.runIn(debs, "apt-get", slices.Concat(args, extra, packages)...); err != nil {
		return fmt.Errorf("download of %s: %w", strings.Join(packages, ", "), err)
	}
	files, err := filepath.Glob(filepath.Join(debs, "*.deb"))
	if err != nil {
		return err
	}
	if len(files) == 0 {
		return fmt.Errorf("download of %s: apt-get fetched nothing into %s", strings.Join(packages, ", "), debs)
	}
	for _, file := range files {
		if _, err := output(exec.Command("dpkg-deb", "--extract", file, root)); err != nil {
			return err
		}
	}
	return nil
}

func (a *apt) run(name string, args ...string) ([]byte, error) {
	return a.runIn("", name, args...)
}

func (a *apt) runIn(dir, name string, args ...string) ([]byte, error) {
	cmd := exec.Command(name, slices.Concat(a.options, args)...)
	cmd.Dir = dir
	return output(cmd)
}

// output runs a command and returns what it printed; an error carries the end of its messages.
func output(cmd *exec.Cmd) ([]byte, error) {
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		text := strings.TrimSpace(stderr.String())
		if len(text) > 2000 {
			text = "..." + text[len(text)-2000:]
		}
		return nil, fmt.Errorf("%s: %w\n%s", filepath.Base(cmd.Path), err, text)
	}
	return stdout.Bytes(), nil
}
