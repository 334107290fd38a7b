package loader

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// settle waits until every task that runs now has been seen to get on: asleep, or ended, or
// with processor time used since. A task that the kernel preempted between two programs of
// one hook has done none of this. RCU would not tell: no program runs at that point.
func (k *Kernel) settle(ctx context.Context) error {
	if err := k.quiesce(); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, settleTimeout)
	defer cancel()
	waiting, err := runningTasks()
	if err != nil {
		return err
	}
	for {
		for path, then := range waiting {
			now, err := readTask(path)
			if err != nil || now.state != 'R' || now.start != then.start || now.ticks >= then.ticks+2 {
				delete(waiting, path)
			}
		}
		if len(waiting) == 0 {
			return nil
		}
		select {
		case <-ctx.Done():
			for path := range waiting {
				return fmt.Errorf("%s has not run since the upgrade began: %w", path, ctx.Err())
			}
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// task is what matters here of /proc/PID/task/TID/stat.
type task struct {
	state byte
	ticks uint64 // of processor time
	start string
}

// runningTasks lists the threads that could be on a processor, by their stat file.
func runningTasks() (map[string]task, error) {
	paths, err := filepath.Glob("/proc/[0-9]*/task/[0-9]*/stat")
	if err != nil {
		return nil, err
	}
	self := fmt.Sprintf("/proc/%d/", os.Getpid())
	list := make(map[string]task)
	for _, path := range paths {
		if strings.HasPrefix(path, self) {
			continue
		}
		if t, err := readTask(path); err == nil && t.state == 'R' {
			list[path] = t
		}
	}
	return list, nil
}

func readTask(path string) (task, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return task{}, err
	}
	return parseTask(string(data))
}

// parseTask reads a line of stat; the name in it may hold anything.
func parseTask(line string) (task, error) {
	fields := strings.Fields(line[strings.LastIndexByte(line, ')')+1:])
	if len(fields) < 20 || len(fields[0]) != 1 {
		return task{}, fmt.Errorf("unexpected stat: %q", line)
	}
	user, err := strconv.ParseUint(fields[11], 10, 64)
	if err != nil {
		return task{}, err
	}
	system, err := strconv.ParseUint(fields[12], 10, 64)
	if err != nil {
		return task{}, err
	}
	return task{state: fields[0][0], ticks: user + system, start: fields[19]}, nil
}
