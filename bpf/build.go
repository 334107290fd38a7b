package bpf

import (
	"crypto/sha256"
	"encoding/hex"
	"sync"
)

// Build names the embedded programs: eight hexadecimal digits of their SHA-256.
var Build = sync.OnceValue(func() string {
	sum := sha256.Sum256(_JailBytes)
	return hex.EncodeToString(sum[:4])
})
