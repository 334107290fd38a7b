# compare.awk BASELINE RESULT: prints the figures that differ by more than half a percent.

NR == FNR { old[$1, $2] = $3; next }
$1 == "kernel" || $1 == "end" {
	if (old[$1, $2] != $3)
		print "The baseline is of " old[$1, $2] "."
	next
}
{
	was = old[$1, $2]
	if (!was)
		note = "new"
	else if ($3 > was * 1.005 || $3 < was * 0.995)
		note = sprintf("%+.1f %%", ($3 / was - 1) * 100)
	else
		next
	if (!changes++)
		printf "%-12s %-52s %10s %10s\n", "mode", "operation", "baseline", "now"
	printf "%-12s %-52s %10s %10s  %s\n", $1, $2, was, $3, note
}
END {
	if (!changes)
		print "No figure differs from the baseline by more than half a percent."
}
