// SPDX-License-Identifier: MIT

package main

import (
	"bytes"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"jail/loader"
)

func testDenial() loader.Event {
	return loader.Event{
		Version: 1, Number: 4, Time: time.Unix(0, 0), Kind: "denial", Op: "open", Verdict: "deny", Errno: "EACCES",
		Object: `/tmp/a\nb`, Path: `/tmp/a\nb`, Access: "r", Role: "web", RoleID: 100, Pod: 7, PID: 42, UID: 1000,
		Command: "cat", Reason: "rule", Rule: &loader.Rule{Place: "web.toml:3", Text: "{ deny = true }", Number: 1}, Repeats: 2,
	}
}

func TestEventIsOneLine(t *testing.T) {
	want := `open (r) /tmp/a\nb EACCES cat[42] uid 1000 role web pod 7 | web.toml:3: { deny = true } | came again 2 times`
	if got := eventText(testDenial()); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestJournalFieldsAreNamedAndNeverEmpty(t *testing.T) {
	fields := journalFields(testDenial())
	for name, want := range map[string]string{"JAIL_ROLE": "web", "JAIL_PID": "42", "JAIL_RULE": "web.toml:3", "OBJECT_PID": "42"} {
		if fields[name] != want {
			t.Errorf("%s is %q, want %q", name, fields[name], want)
		}
	}
	for name, value := range fields {
		if value == "" || strings.Trim(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZ_") != "" {
			t.Errorf("field %q is %q", name, value)
		}
	}
}

func TestEveryMessageIDIsInTheCatalogue(t *testing.T) {
	catalog, err := os.ReadFile("../../scripts/systemd/jail.catalog")
	if err != nil {
		t.Fatal(err)
	}
	for kind, id := range messageIDs {
		if !bytes.Contains(catalog, []byte("\n-- "+id+"\n")) {
			t.Errorf("%s: %s is not there", kind, id)
		}
	}
}

func TestSummaryCountsRepeatsByObject(t *testing.T) {
	other := testDenial()
	other.Object, other.Repeats, other.Suppressed = "/b", 0, 9
	o := &output{}
	_, got := printed(t, o, func() { o.summarize([]loader.Event{other, testDenial(), testDenial()}) })
	want := "jail: report: 7 denials\n" +
		"jail: report:      6  deny open /tmp/a\\nb | web.toml:3: { deny = true }\n" +
		"jail: report:      1  deny open /b | web.toml:3: { deny = true }\n" +
		"jail: report: and at least 9 that were only counted\n"
	if got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestReportsChildRunsTheSameInItsOwnPod(t *testing.T) {
	held := os.Args
	defer func() { os.Args = held }()
	for _, row := range [][2][]string{
		{{"jail", "run", "--report", "--role", "a", "--", "cmd", "--report"}, {"jail", "run", "--pod=5", "--role", "a", "--", "cmd", "--report"}},
		{{"jail", "run --role a --report --", "cmd"}, {"jail", "run", "--pod=5", "--role", "a", "--", "cmd"}},
		{{"x", "run", "--role=a", "--pod", "5", "--report", "cmd"}, {"x", "run", "--pod=5", "--role=a", "cmd"}},
	} {
		os.Args = row[0]
		at := slices.Index(row[0], "cmd")
		if got := (&runCmd{Command: row[0][at:]}).childArgs(5); !slices.Equal(got, row[1]) {
			t.Errorf("got %q, want %q", got, row[1])
		}
	}
}
