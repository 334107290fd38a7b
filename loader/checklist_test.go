package loader

// checklist is every attack of the list of what a jailed process will try: files, network,
// exec, credentials, processes, inheritance and enrollment, self-protection, and the bugs
// found in an earlier system. The numbers that are missing were never given.
const checklist = `
	F01 F02 F04 F05 F06 F07 F08 F10 F11 F12 F13 F14 F15 F17 F18 F19 F20 F22 F23 F24 F26 F27
	F30 F31 F32 F33 F34 F35 F36 F37 F38 F39 F40 F41 F42 F43 F44 F45 F46 F47 F49 F50 F51 F52 F53 F54
	N01 N02 N03 N04 N05 N06 N07 N08 N09 N10 N11 N12 N13 N14 N15 N16 N17 N18 N19 N20 N21 N22 N23 N24
	N26 N27 N28 N29 N30
	X01 X02 X03 X04 X05 X06 X07 X09 X11 X12 X13 X14 X15 X16 X17 X18 X19 X20 X21 X22 X23
	C01 C02 C03 C04 C05 C06 C07 C08 C09 C10 C11
	P01 P02 P03 P04 P05 P06 P08 P09 P10 P11 P12 P13 P14 P15
	E01 E02 E03 E04 E06 E07 E08 E09 E10 E11 E12 E13 E14 E15 E16 E17 E18
	S01 S02 S04 S05 S06 S07 S08 S09 S10 S11 S12 S13 S14 S15
	G1 G2 G3 G4 G5 G6 G7 G8 G9 G10 G11 G12 G13 G14 G15 G16 G17 G18 G19 G20 G21`

// elsewhere is what has no row of its own: the tests and the rows that show it, or why
// nothing can.
var elsewhere = map[string]string{
	"X16": "a file that is being written is the kernel's to refuse; signed programs are not built yet",
	"X17": "signed programs are not built yet",
	"X18": "signed programs are not built yet",
	"X19": "signed programs are not built yet",
	"X21": "E17_storm; TestDenialsOverTheLimitAreCountedExactly",
	"X23": "S01_bpf, S08_perf",
	"C10": "N17_stream, N18_stream, P13_plant; TestDeniedUnixSocketsAreNamed",
	"E02": "TestRunningProcessIsTakenInWithoutAWindow, TestSocketStampsThreadsThatCloneMeanwhile, TestMovedProcessIsTakenInWithAllItsThreads",
	"E03": "TestRunningProcessIsTakenInWithoutAWindow",
	"E04": "TestSocketEnrollsTheCaller, TestSocketStampsThreadsThatCloneMeanwhile",
	"E06": "TestSocketTakesWhoConnected, TestTenThousandEnrollmentsInARow",
	"E07": "TestSocketTakesWhoConnected",
	"E09": "TestMarkedFileIsJailedUnderEveryName",
	"E10": "TestListedPathIsJailedAlsoOnceReplaced",
	"E11": "TestMarkInXattr, TestMarkIsRootsToSetOutsideAnyJail",
	"E12": "TestListedCgroupJailsAndSticks, TestMovedProcessHasNoWindow, TestMovedThreadIsTakenInAlone",
	"E13": "TestTablesTakeInWhatRuns",
	"E14": "TestReloadUnderLoadGivesNoWrongVerdict, TestKillAtAnyStepOfAReloadLeavesEveryRoleWhole",
	"E15": "C11_request_key, P14_core_pattern, P14_modprobe, X22_autoload_socket",
	"E18": "TestOnlyStandardDescriptorsArrive, TestFailedExecLeavesNothingArmed, TestThousandStartsHalfKilledLeaveNothing",
	"S10": "TestRepeatedDenialIsToldOnceAndCountedExactly, TestFullBufferCountsWhatItLosesAndWhyStillKnows, TestNameOfNewlinesArrivesEscaped",
	"S12": "TestWithoutBPFFSNothingRuns, TestThousandStartsHalfKilledLeaveNothing, TestFullDomainsMapRefusesTheExec",
	"S15": "no verdict rests on per-CPU memory: programs that can be preempted take a place of their own (bpf/README.md, Scratch)",
	"G1":  "P01_attach, S01_bpf, X22_autoload_socket; TestFailedAttachLeavesNothing",
	"G2":  "C01_setuid_binary, P02_traceme, X22_module",
	"G3":  "E08_more_roles; TestSocketEnrollmentOnlyTakesAway, TestSocketAdministrationIsForRootOutside",
	"G4":  "TestSocketStampsThreadsThatCloneMeanwhile, TestSocketTakesWhoConnected",
	"G5":  "TestMarkedFileIsJailedUnderEveryName, TestListedPathIsJailedAlsoOnceReplaced",
	"G6":  "TestListedCgroupJailsAndSticks",
	"G7":  "P01_attach, P02_traceme, P03_vm_readv, P04_mem",
	"G8":  "P06_kill",
	"G9":  "F08_replace, F30_truncate, F31_unlink, F32_mkdir, F33_mknod, F36_chmod, F37_setxattr",
	"G10": "F02_bind_over, F04_fsmount, F23_overlay; TestMountsMadeAfterTheLoadAreNoticed",
	"G11": "F17_deep, F17_long, F17_too_deep",
	"G12": "F18_names, F18_prefix",
	"G13": "TestKernelAgreesWithReferenceMatcher",
	"G14": "F05_link, F11_rename_race, F27_reuse; TestRenamesElsewhereCauseNoWrongVerdict",
	"G15": "N02_listen_unbound, N03_sendmmsg, N05_fastopen, N07_mapped, N08_unspec_send, N09_lengths, N10_raw, N12_sctp; TestKernelAgreesOnTheNetwork",
	"G16": "X22_init_module, X22_kexec, X22_module",
	"G17": "X03_memfd, X05_map, X06_mprotect, X07_anonymous",
	"G18": "E17_storm; TestFullDomainsMapRefusesTheExec",
	"G19": "S02_rename_pins, S02_umount, S02_umount_copy, S02_mkdir_pins; TestLostPinIsNotWholeAndIsMended, TestLoadRefusesPinsThatAreNotOurs",
	"G20": "TestKernelAgreesOnTheNetwork; one loader, and no mode without events",
	"G21": "the programs are embedded in the binary; the configuration's path is absolute",
}
