package loader

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"jail/profiles"
)

// runDir holds what is of use until the next reboot and enforces nothing.
const runDir = "/run/jail"

// policyDir has a file for each policy: what an event's policy id and rule number mean,
// also when the policy is long replaced. Root only: rules name files.
const policyDir = runDir + "/policies"

// policyFiles is how many are kept; the oldest go first.
const policyFiles = 4096

// PolicyRecord says what a policy in the kernel was made of.
type PolicyRecord struct {
	Version  int               `json:"version"`
	Policy   uint64            `json:"policy"`
	Role     uint32            `json:"role"`
	Name     string            `json:"name"`
	Digest   string            `json:"digest"` // of the role as written, its rule sets included
	Flags    uint32            `json:"flags"`
	Rules    []profiles.Rule   `json:"rules"` // by their numbers
	Defaults map[string]Origin `json:"defaults"`
	// The rules themselves, so that they can be asked again. Paths are bytes.
	Files   []profiles.FileRule    `json:"files,omitempty"`
	Paths   [][]byte               `json:"paths,omitempty"`
	Network []profiles.NetworkRule `json:"network,omitempty"`
}

// Origin is what decided: a rule, or the line of a flag.
type Origin struct {
	Place string `json:"place"`
	Text  string `json:"text"`
}

// Digest is the same for two roles exactly when they are written alike.
func Digest(r *profiles.Role) string {
	sum := sha256.Sum256([]byte(r.TOML()))
	return hex.EncodeToString(sum[:])
}

func newRecord(id uint64, r *profiles.Role, p *profiles.Policy) *PolicyRecord {
	rec := &PolicyRecord{
		Version: 1, Policy: id, Role: r.ID, Name: r.Name, Digest: Digest(r), Flags: p.Flags,
		Rules: p.Rules, Defaults: Defaults(r),
	}
	all := r.AllRules()
	rec.Files, rec.Network = all.Files, all.Network
	for _, f := range all.Files {
		rec.Paths = append(rec.Paths, []byte(f.Path))
	}
	return rec
}

// Defaults are the lines that decide where no rule does: by the name of the flag, and
// `families`.
func Defaults(r *profiles.Role) map[string]Origin {
	defaults := map[string]Origin{"families": {r.KeyPlace("families").String(), r.FamiliesKey()}}
	for _, name := range profiles.FlagNames() {
		defaults[name] = Origin{r.KeyPlace(name).String(), r.FlagKey(name)}
	}
	return defaults
}

// role is the part of the role that decides about files and ports, as it was.
func (rec *PolicyRecord) role() *profiles.Role {
	r := &profiles.Role{ID: rec.Role, Name: rec.Name, Flags: profiles.Flags(rec.Flags)}
	for i, f := range rec.Files {
		if i < len(rec.Paths) {
			f.Path = string(rec.Paths[i])
		}
		r.Files = append(r.Files, f)
	}
	r.Network = slices.Clone(rec.Network)
	return r
}

// write stores the record, whole or not at all.
func (rec *PolicyRecord) write(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	data, err := json.Marshal(rec)
	if err != nil {
		return err
	}
	return writeFile(filepath.Join(dir, fmt.Sprintf("%d.json", rec.Policy)), data, 0o600)
}

// writeFile puts a file in place at once: readers see the old one or the new one.
func writeFile(name string, data []byte, mode os.FileMode) error {
	f, err := os.CreateTemp(filepath.Dir(name), "."+filepath.Base(name)+".*")
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	err = errors.Join(err, f.Chmod(mode), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), name)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return nil
}

// readRecord reads a policy's record; an error where it is gone or not one.
func readRecord(dir string, id uint64) (*PolicyRecord, error) {
	name := filepath.Join(dir, fmt.Sprintf("%d.json", id))
	data, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	rec := new(PolicyRecord)
	if err := json.Unmarshal(data, rec); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	if rec.Version != 1 || rec.Policy != id {
		return nil, fmt.Errorf("%s: is not the record of policy %d", name, id)
	}
	return rec, nil
}

// prune removes the oldest records beyond those to keep, but none in use.
func prune(dir string, keep int, inUse map[uint64]bool) error {
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) <= keep {
		return err
	}
	var ids []uint64
	for _, e := range entries {
		id, err := strconv.ParseUint(strings.TrimSuffix(e.Name(), ".json"), 10, 64)
		if err == nil && !inUse[id] {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	for _, id := range ids[:min(len(ids), len(entries)-keep)] {
		if err := os.Remove(filepath.Join(dir, fmt.Sprintf("%d.json", id))); err != nil {
			return err
		}
	}
	return nil
}

// prunePolicies keeps the number of records bounded.
func (k *Kernel) prunePolicies() error {
	list, err := k.Roles()
	if err != nil {
		return err
	}
	inUse := make(map[uint64]bool, len(list)+1)
	for _, r := range list {
		inUse[r.Policy] = true
	}
	paths, err := k.pathsPolicy()
	if err != nil {
		return err
	}
	inUse[paths.Id] = true
	return prune(policyDir, policyFiles, inUse)
}

// Held is the record of the policy that a role points at now.
func (k *Kernel) Held(role uint32) (*PolicyRecord, error) {
	list, err := k.Roles()
	if err != nil {
		return nil, err
	}
	for _, r := range list {
		if r.ID == role {
			return readRecord(policyDir, r.Policy)
		}
	}
	return nil, fmt.Errorf("role %d: not loaded", role)
}
