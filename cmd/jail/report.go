// SPDX-License-Identifier: MIT

package main

import (
	"cmp"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"time"

	"jail/launcher"
	"jail/loader"
	"jail/profiles"
)

// report runs the command as a child, and sums up its denials at its end. The child is
// `jail run` without --report: nothing here can run a command without its jail.
func (c *runCmd) report(a *app, spec launcher.Spec, set *profiles.Set) error {
	k, err := loader.Open()
	if errors.Is(err, loader.ErrNotLoaded) {
		k, err = c.loadAll(a, set)
	}
	if err != nil {
		return fmt.Errorf("--report reads denials: %w", err)
	}
	defer k.Close()
	before, _, err := k.Denials()
	if err != nil {
		return err
	}
	var last uint64
	if len(before) > 0 {
		last = before[len(before)-1].Number
	}
	pod := spec.Pod
	if pod == 0 {
		pod = 1<<40 + rand.Uint64N(1<<52) // exact in JSON, too
	}
	status, err := launcher.Supervise(c.childArgs(pod))
	if err != nil {
		return err
	}
	if err := a.printReport(k, pod, last); err != nil {
		a.warn("the denials could not be read: %v", err)
	}
	if err := a.flush(); err != nil {
		a.warn("%v", err)
	}
	launcher.EndAs(status)
	return nil
}

// childArgs are this process's arguments, less --report, with the pod.
func (c *runCmd) childArgs(pod uint64) []string {
	args := splitShebang(os.Args[1:])
	own, command := args[:len(args)-len(c.Command)], args[len(args)-len(c.Command):]
	child := []string{os.Args[0], own[0], fmt.Sprintf("--pod=%d", pod)}
	for i := 1; i < len(own); i++ {
		switch {
		case own[i] == "--report", strings.HasPrefix(own[i], "--report="), strings.HasPrefix(own[i], "--pod="):
		case own[i] == "--pod":
			i++
		default:
			child = append(child, own[i])
		}
	}
	return append(child, command...)
}

// printReport sums up the pod's denials that came after a number.
func (o *output) printReport(k *loader.Kernel, pod, after uint64) error {
	// What a task's end has to tell comes a moment after it.
	for range 100 {
		if alive, err := k.PodAlive(pod); err != nil || !alive {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	list, _, err := k.Denials()
	if err != nil {
		return err
	}
	o.summarize(slices.DeleteFunc(list, func(e loader.Event) bool { return e.Pod != pod || e.Number <= after }))
	return nil
}

// summarize prints one line for each object, the most frequent first.
func (o *output) summarize(list []loader.Event) {
	type line struct {
		text  string
		count uint64
	}
	var (
		lines   []line
		total   uint64
		counted uint64
	)
	for _, e := range list {
		text := fmt.Sprintf("%s %s %s | %s", verdictWord(e), e.Op, e.Object, decided(e))
		at := slices.IndexFunc(lines, func(l line) bool { return l.text == text })
		if at < 0 {
			lines, at = append(lines, line{text: text}), len(lines)
		}
		lines[at].count += 1 + uint64(e.Repeats)
		total += 1 + uint64(e.Repeats)
		counted += uint64(e.Suppressed)
	}
	if total == 0 {
		fmt.Fprintf(o.stderr, "jail: report: nothing was denied\n")
		return
	}
	slices.SortStableFunc(lines, func(a, b line) int { return cmp.Compare(b.count, a.count) })
	fmt.Fprintf(o.stderr, "jail: report: %d denials\n", total)
	for _, l := range lines {
		fmt.Fprintf(o.stderr, "jail: report: %6d  %s\n", l.count, printable(l.text))
	}
	if counted > 0 {
		fmt.Fprintf(o.stderr, "jail: report: and at least %d that were only counted\n", counted)
	}
}
