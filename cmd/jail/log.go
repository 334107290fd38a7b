// SPDX-License-Identifier: MIT

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/syslog"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/coreos/go-systemd/v22/journal"
	"golang.org/x/sys/unix"

	"jail/loader"
)

type logCmd struct {
	Follow     bool   `short:"f" help:"Wait for more, until interrupted."`
	Role       string `placeholder:"ROLE" help:"Only events of this role, by name or id."`
	PID        uint32 `name:"pid" placeholder:"PID" help:"Only events of this process."`
	Denied     bool   `help:"Only denials."`
	JSON       bool   `name:"json" help:"Print one object per line; the schema is in jail(1)."`
	Journal    bool   `xor:"to" help:"Write to the journal, with fields, instead of printing."`
	Syslog     bool   `xor:"to" help:"Write to syslog instead of printing."`
	Prometheus string `xor:"to" placeholder:"FILE" help:"Write the counters to FILE, at once; with -f every 15 seconds. Reads no events."`
}

// Help is the rest of the help.
func (logCmd) Help() string {
	return `Prints what the kernel part's buffer holds, and takes it out: one reader at a time, and none is needed for enforcement. A full buffer drops the newest events and counts them. "jail why" shows the latest denials without taking anything out. As root only.

Examples:

    sudo jail log -f --denied
    sudo jail log --json | jq -r 'select(.kind == "denial") | .object'
    sudo systemctl enable --now jail-journal && journalctl JAIL_ROLE=webserver
    sudo jail log --prometheus /var/lib/node_exporter/jail.prom
`
}

// Run reads events.
func (c *logCmd) Run(a *app) error {
	k, err := loader.Open()
	if err != nil {
		return err
	}
	defer k.Close()
	ctx, stop := signal.NotifyContext(a.ctx, os.Interrupt, unix.SIGTERM)
	defer stop()
	if c.Prometheus != "" {
		return c.prometheus(ctx, k)
	}
	to, err := c.sink(a)
	if err != nil {
		return err
	}
	l, err := k.OpenLog()
	if err != nil {
		return err
	}
	defer l.Close()
	defer context.AfterFunc(ctx, func() { _ = l.Stop() })()
	return c.read(a, k, l, to)
}

func (c *logCmd) read(a *app, k *loader.Kernel, l *loader.Log, to func(loader.Event) error) error {
	var lost uint64
	warnLost := func() error {
		counts, err := k.Counts()
		if err == nil && counts.Lost > lost {
			a.warn("events lost since the kernel part was loaded, because the buffer was full: %d", counts.Lost)
			lost = counts.Lost
		}
		return err
	}
	for {
		e, err := l.Next(c.Follow)
		switch {
		case errors.Is(err, os.ErrDeadlineExceeded):
			return warnLost()
		case errors.Is(err, loader.ErrBadEvent):
			a.warn("%v", err)
			continue
		case err != nil:
			return err
		}
		if !c.wants(e) {
			continue
		}
		if err := to(e); err != nil {
			return err
		}
		if c.Follow {
			if err := errors.Join(a.flush(), warnLost()); err != nil {
				return err
			}
		}
	}
}

// wants tells whether the flags ask for an event.
func (c *logCmd) wants(e loader.Event) bool {
	return (c.Role == "" || c.Role == e.Role || c.Role == strconv.Itoa(int(e.RoleID))) &&
		(c.PID == 0 || c.PID == e.PID) && (!c.Denied || e.Kind == "denial")
}

// sink is where the flags send events.
func (c *logCmd) sink(a *app) (func(loader.Event) error, error) {
	switch {
	case c.Journal:
		if !journal.Enabled() {
			return nil, withHint(errors.New("no journal listens at /run/systemd/journal/socket"), "jail log --syslog")
		}
		return toJournal, nil
	case c.Syslog:
		w, err := syslog.New(syslog.LOG_DAEMON|syslog.LOG_NOTICE, "jail")
		if err != nil {
			return nil, fmt.Errorf("syslog: %w", err)
		}
		return func(e loader.Event) error { return toSyslog(w, e) }, nil
	case c.JSON:
		return func(e loader.Event) error {
			line, err := json.Marshal(e)
			a.printf("%s\n", line)
			return err
		}, nil
	}
	return func(e loader.Event) error {
		a.printf("%s\n", a.eventLine(e))
		return nil
	}, nil
}

// eventLine is an event for people.
func (o *output) eventLine(e loader.Event) string {
	return e.Time.Local().Format("2006-01-02 15:04:05.000 ") + o.colored(eventColor(e), verdictWord(e)) + " " + eventText(e)
}

func eventColor(e loader.Event) string {
	switch {
	case e.Kind != "denial":
		return cyan
	case e.Permissive:
		return yellow
	}
	return red
}

// verdictWord is what an event's line begins with.
func verdictWord(e loader.Event) string {
	switch {
	case e.Kind != "denial":
		return e.Kind
	case e.Permissive:
		return "would deny"
	}
	return "deny"
}

// eventText is an event on one line, without time and verdict.
func eventText(e loader.Event) string {
	var parts []string
	add := func(format string, args ...any) { parts = append(parts, fmt.Sprintf(format, args...)) }
	if e.Kind == "denial" {
		add("%s", e.Op)
		if e.Access != "" && e.Path != "" {
			add("(%s)", e.Access)
		}
	}
	if e.Object != "" {
		add("%s", e.Object)
	}
	switch e.Kind {
	case "upgrade":
		add("set %d", e.Value)
	case "load", "reload":
		add("%d roles", e.Value)
	case "denial":
		add("%s", e.Errno)
	}
	if e.PID != 0 {
		add("%s[%d] uid %d", e.Command, e.PID, e.UID)
	}
	if e.Role != "" {
		add("role %s", e.Role)
	}
	if e.Pod != 0 {
		add("pod %d", e.Pod)
	}
	if d := decided(e); d != "" {
		add("| %s", d)
	}
	if e.Repeats > 0 {
		add("| came again %d times", e.Repeats)
	}
	if e.Suppressed > 0 {
		add("| %d denials before were only counted", e.Suppressed)
	}
	return printable(strings.Join(parts, " "))
}

// decided is what made a denial.
func decided(e loader.Event) string {
	switch {
	case e.Rule != nil:
		return e.Rule.Place + ": " + e.Rule.Text
	}
	return e.Detail
}

// messageIDs tell the kinds of events apart in the journal; scripts/systemd/jail.catalog
// explains them.
var messageIDs = map[string]string{
	"denial":  "6f2b9f1c54d84b0d9a7c3e0b1f5a7d01",
	"enroll":  "6f2b9f1c54d84b0d9a7c3e0b1f5a7d02",
	"exec":    "6f2b9f1c54d84b0d9a7c3e0b1f5a7d03",
	"load":    "6f2b9f1c54d84b0d9a7c3e0b1f5a7d04",
	"reload":  "6f2b9f1c54d84b0d9a7c3e0b1f5a7d05",
	"pod_end": "6f2b9f1c54d84b0d9a7c3e0b1f5a7d06",
}

// journalFields are an event's fields beside MESSAGE and PRIORITY.
func journalFields(e loader.Event) map[string]string {
	fields := map[string]string{
		"SYSLOG_IDENTIFIER":          "jail",
		"SYSLOG_TIMESTAMP":           e.Time.Format(time.RFC3339Nano),
		"MESSAGE_ID":                 messageIDs[e.Kind],
		"JAIL_KIND":                  e.Kind,
		"JAIL_OP":                    e.Op,
		"JAIL_VERDICT":               e.Verdict,
		"JAIL_ERRNO":                 e.Errno,
		"JAIL_OBJECT":                e.Object,
		"JAIL_ACCESS":                e.Access,
		"JAIL_PATH":                  e.Path,
		"JAIL_ADDRESS":               e.Address,
		"JAIL_PROTOCOL":              e.Protocol,
		"JAIL_CAPABILITY":            e.Capability,
		"JAIL_ROLE":                  e.Role,
		"JAIL_COMMAND":               e.Command,
		"JAIL_REASON":                e.Reason,
		"JAIL_UID":                   strconv.Itoa(int(e.UID)),
		"JAIL_PERMISSIVE":            strconv.FormatBool(e.Permissive),
		"JAIL_TIME_REALTIME_SECONDS": strconv.FormatInt(e.Time.Unix(), 10),
	}
	for name, n := range map[string]uint64{
		"JAIL_POD": e.Pod, "JAIL_PID": uint64(e.PID), "JAIL_TID": uint64(e.TID), "JAIL_PORT": uint64(e.Port),
		"OBJECT_PID": uint64(e.PID), "JAIL_REPEATS": uint64(e.Repeats), "JAIL_SUPPRESSED": uint64(e.Suppressed),
		"JAIL_NUMBER": e.Number, "JAIL_TARGET_PID": uint64(e.TargetPID),
	} {
		if n != 0 {
			fields[name] = strconv.FormatUint(n, 10)
		}
	}
	if e.Rule != nil {
		fields["JAIL_RULE"], fields["JAIL_RULE_TEXT"] = e.Rule.Place, e.Rule.Text
	}
	for name, value := range fields {
		if value == "" {
			delete(fields, name)
		}
	}
	return fields
}

// toJournal writes one entry; a journal that restarts gets a while to come back.
func toJournal(e loader.Event) (err error) {
	priority := journal.PriInfo
	if e.Kind == "denial" {
		priority = journal.PriNotice
	}
	for range 30 {
		err = journal.Send(verdictWord(e)+" "+eventText(e), priority, journalFields(e))
		if err == nil {
			return nil
		}
		time.Sleep(time.Second)
	}
	return fmt.Errorf("journal: %w", err)
}

func toSyslog(w *syslog.Writer, e loader.Event) error {
	line := verdictWord(e) + " " + eventText(e)
	if e.Kind == "denial" {
		return w.Notice(line)
	}
	return w.Info(line)
}

// prometheus writes the counters as a textfile collector reads them.
func (c *logCmd) prometheus(ctx context.Context, k *loader.Kernel) error {
	const every = 15 * time.Second
	for {
		s, err := k.Status()
		if err != nil {
			return err
		}
		counts, err := k.Counts()
		if err != nil {
			return err
		}
		if err := replaceFile(c.Prometheus, metrics(s, counts)); err != nil {
			return err
		}
		if !c.Follow {
			return nil
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(every):
		}
	}
}

func metrics(s loader.Status, c loader.Counts) []byte {
	var b bytes.Buffer
	metric := func(name, kind, help string, value uint64) {
		fmt.Fprintf(&b, "# HELP jail_%s %s\n# TYPE jail_%s %s\njail_%s %d\n", name, help, name, kind, name, value)
	}
	whole := uint64(0)
	if s.Whole {
		whole = 1
	}
	metric("enforcing", "gauge", "1 when every mandatory program is attached and roles can be entered.", whole)
	metric("roles", "gauge", "Roles loaded.", uint64(s.Roles))
	metric("subjects", "gauge", "Jailed threads.", uint64(s.Subjects))
	metric("denials_total", "counter", "Refused operations.", c.Denied)
	metric("would_deny_total", "counter", "Operations that permissive roles let pass.", c.WouldDeny)
	metric("faults_total", "counter", "Operations refused because something could not be read or found.", c.Faults)
	metric("denials_repeated_total", "counter", "Denials that were only counted, because they came again.", c.Repeated)
	metric("denials_suppressed_total", "counter", "Denials that were only counted, because they were too many.", c.Suppressed)
	metric("events_lost_total", "counter", "Events that found the buffer full.", c.Lost)
	metric("no_storage_total", "counter", "Forks and execs that failed for lack of memory.", c.NoStorage)
	return b.Bytes()
}

// replaceFile puts a file in place at once: a reader sees the old or the new one.
func replaceFile(name string, data []byte) error {
	f, err := os.CreateTemp(filepath.Dir(name), ".jail-*")
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err = errors.Join(err, f.Chmod(0o644), f.Close()); err == nil {
		err = os.Rename(f.Name(), name)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return nil
}
