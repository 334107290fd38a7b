// SPDX-License-Identifier: MIT

package main

import (
	"os/exec"
	"strings"
	"testing"
)

func TestShellReadsQuotedWordsBack(t *testing.T) {
	words := []string{"plain", "", "a b", "it's", "$HOME `id` \\", "new\nline", "\xff", "*", "~", "-x", "a;b"}
	quoted := make([]string, len(words))
	for i, w := range words {
		quoted[i] = shellQuote(w)
	}
	out, err := exec.Command("/bin/sh", "-c", `printf '%s\001' `+strings.Join(quoted, " ")).Output()
	if err != nil {
		t.Fatal(err)
	}
	if want := strings.Join(words, "\x01") + "\x01"; string(out) != want {
		t.Errorf("got %q want %q", out, want)
	}
}
