#include "textflag.h"

// The first instruction of the process: SP is at argc, and nothing is set up.
TEXT ·entry(SB), NOSPLIT|NOFRAME, $0
	MOVQ SP, ·stack(SB)

	// Go's calling convention reads the thread's g through FS; any memory will do.
	MOVL $158, AX        // arch_prctl
	MOVL $0x1002, DI     // ARCH_SET_FS
	LEAQ ·tls+64(SB), SI
	SYSCALL

	MOVQ ·stack(SB), AX
	ANDQ $~15, SP
	SUBQ $16, SP
	MOVQ AX, 0(SP)
	CALL ·start(SB)

	// Nothing was run: Go's own entry, as if it had been the first.
	MOVQ ·stack(SB), SP
	JMP  _rt0_amd64_linux(SB)
