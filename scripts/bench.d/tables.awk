# Prints what bench.d/guest measured: lines of MODE, NAME, INSTRUCTIONS. Status 1: figures are missing.

{ value[$1, $2] = $3 }
$1 == "none" { ops[++nops] = $2 }
$1 == "many" { many[++nmany] = $2 }
$1 == "http-none" { http[++nhttp] = $2 }
$1 == "whole-none" { whole[++nwhole] = $2 }
$1 == "denial" { denials[++ndenials] = $2 }
$1 == "start-root" { starts[++nstarts] = $2 }

function ratio(mode, op) {
	if (!value[mode, op] || !value["none", op])
		return "-"
	return sprintf("%.3f", value[mode, op] / value["none", op])
}

# What a BPF LSM program costs that does nothing: 155 to 170 (../shared/KERNEL.md, "Cost", 6.18).
BEGIN { EMPTY = 155 }

# target(WHAT, FIGURE, LIMIT, OP, HOOKS): both as printed, to three digits. Of a miss it says what OP
# costs outside any jail and, if it passes that many HOOKS, what it would with empty programs.
function target(what, figure, limit, op, hooks,   floor) {
	if (op != "" && figure + 0 > limit)
		floor = "; unjailed " ratio("loaded", op)
	if (floor && hooks)
		floor = floor sprintf(", empty programs %.3f", 1 + hooks * EMPTY / value["none", op])
	printf "%-62s %9s   at most %.3f   %s%s\n", what, figure, limit, figure + 0 <= limit ? "met" : "MISSED", floor
}

# op_target(WHAT, MODE, OP, LIMIT, HOOKS): of the operation, jailed under that role.
function op_target(what, mode, op, limit, hooks) {
	target(what, ratio(mode, op), limit, op, hooks)
}

# event_target(WHAT, LIMIT): what the event of that denial may add.
function event_target(what, limit,   more) {
	more = value["denial", what] - value["silent", what]
	printf "%-62s %+9d   at most %d   %s\n", "denial with its event, over one without: " what, more, limit,
		more <= limit ? "met" : "MISSED"
}

function start_target(user, nth, how) {
	target("start-up of /bin/true by " how ", of bwrap's, as " user,
		sprintf("%.3f", value["start-" user, starts[nth]] / value["start-" user, starts[4]]), 1)
}

# of(MODE, OTHER, OP): the figure in MODE, of that in OTHER.
function of(mode, other, op) {
	if (!value[mode, op] || !value[other, op])
		return "-"
	return sprintf("%.3f", value[mode, op] / value[other, op])
}

function rules_targets(op, limit) {
	op_target(op ", jailed, 10 rules", "bench", op, limit, 1)
	op_target(op ", jailed, 10,000 rules", "many", op, limit, 1)
}

END {
	if (value["end", ""] != "ok" || !nops || nstarts != 5 || !nmany || nhttp != 2 || !ndenials || !nwhole)
		exit 1
	for (i = 1; i <= ndenials; i++)
		if (!value["silent", denials[i]])
			exit 1
	n = split("loaded permissive bench landlock apparmor none-again", modes, " ")
	for (i = 1; i <= nops; i++)
		for (m = 1; m <= n; m++)
			if (modes[m] != "apparmor" && !value[modes[m], ops[i]])
				exit 1

	print "Guest instructions per operation, kernel " value["kernel", ""]
	print "nothing: jail not loaded. The other columns are ratios to it. loaded: a task outside any jail."
	print "permissive, bench: a task jailed under that role; bench has 10 path and 10 port rules (bench.d/bench.toml)."
	print "landlock, apparmor: the same rules by them (apparmor: no ports). unloaded: after jail unload, a control.\n"
	format = "%-26s %9s %8s %11s %8s %9s %9s %9s\n"
	printf format, "operation", "nothing", "loaded", "permissive", "bench", "landlock", "apparmor", "unloaded"
	for (i = 1; i <= nops; i++) {
		op = ops[i]
		printf format, op, value["none", op], ratio("loaded", op), ratio("permissive", op), ratio("bench", op),
			ratio("landlock", op), ratio("apparmor", op), ratio("none-again", op)
	}

	print "\nStart-up in guest instructions: fork, exec, exit and wait, jail's programs pinned\n"
	format = "%-52s %12s %12s %12s\n"
	printf format, "command", "as root", "as user", "set-user-ID"
	for (i = 1; i <= nstarts; i++)
		printf format, starts[i], value["start-root", starts[i]], value["start-user", starts[i]], value["start-setuid", starts[i]]

	print "\nAdded to a boot, in guest instructions"
	printf "%-52s %12s\n", "jail load --early", value["boot", "load"]
	printf "%-52s %12s\n", "the same where the initramfs has loaded", value["boot", "load again"]

	print "\nNetwork operations, jailed under 10,000 rules, to nothing\n"
	for (i = 1; i <= nmany; i++)
		printf "%-32s %9s %8s\n", many[i], value["many", many[i]], ratio("many", many[i])

	print "\nRequests to nginx, its own instructions and those of the client, which is not jailed\n"
	format = "%-32s %12s %9s %10s %22s\n"
	printf format, "request", "nothing", "loaded", "webserver", "webserver to loaded"
	for (i = 1; i <= nhttp; i++)
		printf format, http[i], value["http-none", http[i]], of("http-loaded", "http-none", http[i]),
			of("http-webserver", "http-none", http[i]), of("http-webserver", "http-loaded", http[i])

	print "\nWhole programs, each alone; the columns are ratios to nothing\n"
	format = "%-32s %12s %8s %11s %8s %8s %9s\n"
	printf format, "program", "nothing", "loaded", "permissive", "worker", "bench", "landlock"
	for (i = 1; i <= nwhole; i++)
		printf format, whole[i], value["whole-none", whole[i]], of("whole-loaded", "whole-none", whole[i]),
			of("whole-permissive", "whole-none", whole[i]), of("whole-worker", "whole-none", whole[i]),
			of("whole-bench", "whole-none", whole[i]), of("whole-landlock", "whole-none", whole[i])

	print "\nRefused operations under the role bench, with their event in the buffer, and with the same programs but"
	print "linked so that denials are counted and not told. again: the same denial, collapsed. limit: of a second.\n"
	format = "%-26s %9s %9s %9s\n"
	printf format, "refused", "without", "with", "event"
	for (i = 1; i <= ndenials; i++)
		printf format, denials[i], value["silent", denials[i]], value["denial", denials[i]],
			sprintf("%+d", value["denial", denials[i]] - value["silent", denials[i]])

	print "\nTargets (issues 2, 3 and 4)\n"
	op_target("open+close, loaded and unjailed", "loaded", "open+close, 5 deep", 1.03, 1)
	op_target("stat, loaded and unjailed", "loaded", "stat", 1)
	op_target("connect, loaded and unjailed", "loaded", "connect (tcp)", 1.04, 1)
	op_target("fork+exec, loaded and unjailed", "loaded", "fork+exec+wait", 1.04)
	start_target("root", 3, "jail run")
	start_target("user", 3, "jail run")
	start_target("setuid", 3, "jail run")
	start_target("user", 5, "the socket")
	event_target("port", 400)
	event_target("capability", 400)
	event_target("path, 5 deep", 1500)
	print "\nTargets (issues 5 and 7)\n"
	op_target("open+close, jailed, 10 rules", "bench", "open+close, 5 deep", 1.045, 1)
	op_target("open+close of a new file, jailed, 10 rules", "bench", "open+close, new file", 1.09, 1)
	op_target("open+close in a new directory, jailed, 10 rules", "bench", "open+close, new dir", 1.2, 1)
	target(whole[1] ", jailed, 10 rules", of("whole-bench", "whole-none", whole[1]), 1.1)
	op_target("fork+exec, permissive", "permissive", "fork+exec+wait", 1.05)
	op_target("mmap of code, permissive", "permissive", "mmap (code)", 1.03, 1)
	op_target("mmap of code, touched and unmapped, permissive", "permissive", "mmap+touch+munmap (code)", 1.03, 1)
	op_target("mprotect, permissive", "permissive", "mprotect", 1.03, 1)
	op_target("mprotect, touched and back, permissive", "permissive", "mprotect+touch+mprotect", 1.03, 2)
	op_target("kill of a child, signal 0, permissive", "permissive", "kill (child, 0)", 1.05, 1)
	op_target("kill of a child, delivered, permissive", "permissive", "kill (child), delivered", 1.05, 1)
	if (nwhole > 1)
		target(whole[2] ", worker", of("whole-worker", "whole-none", whole[2]), 1.03)
	print "\nTargets (issue 6)\n"
	rules_targets("connect (tcp)", 1.04)
	rules_targets("bind (tcp)", 1.04)
	rules_targets("sendmsg (udp, connected)", 1.02)
	rules_targets("sendmsg (tcp)", 1.02)
	for (i = 1; i <= nhttp; i++)
		target(http[i] ", webserver, of unjailed", of("http-webserver", "http-loaded", http[i]), 1.02)
}
