package loader

import "testing"

func TestTaskIsReadWhateverItsName(t *testing.T) {
	line := "42 (a) R (b) ) S 1 42 42 0 -1 4194560 1 2 3 4 17 25 0 0 20 0 1 0 12345 1000 2"
	got, err := parseTask(line)
	if err != nil || got != (task{state: 'S', ticks: 42, start: "12345"}) {
		t.Errorf("%+v, %v", got, err)
	}
	if _, err := parseTask("42 (x) S 1"); err == nil {
		t.Error("a short line was read")
	}
}
