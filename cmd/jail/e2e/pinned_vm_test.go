//go:build vm

package e2e

import "github.com/cilium/ebpf"

// countPinned counts the entries of a pinned hash map with u64 keys.
func countPinned(path string) (int, error) {
	m, err := ebpf.LoadPinnedMap(path, nil)
	if err != nil {
		return 0, err
	}
	defer m.Close()
	n, key, value := 0, uint64(0), make([]byte, m.ValueSize())
	it := m.Iterate()
	for it.Next(&key, &value) {
		n++
	}
	return n, it.Err()
}
