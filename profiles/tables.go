package profiles

import "encoding/binary"

// PageBytes and TablePages bound a policy's tables, as in bpf/abi.h.
const (
	PageBytes  = 8192
	TablePages = 1024
)

// Sizes of the items of tables. Each divides PageBytes and each table starts at a
// multiple of its item's size, so that no item crosses a page.
const (
	range4Bytes    = 8
	range6Bytes    = 32
	nodeBytes      = 64
	portRangeBytes = 8
)

// tables are the bytes of a policy's tables while they are written.
type tables struct{ bytes []byte }

// reserve pads to a multiple of the size of the items that follow, and gives the offset.
func (t *tables) reserve(size int) uint32 {
	if over := len(t.bytes) % size; over != 0 {
		t.bytes = append(t.bytes, make([]byte, size-over)...)
	}
	return uint32(len(t.bytes))
}

func (t *tables) word(w uint32) { t.bytes = binary.LittleEndian.AppendUint32(t.bytes, w) }

// pages are the bytes, filled up to whole pages.
func (t *tables) pages() []byte {
	t.reserve(PageBytes)
	return t.bytes
}
